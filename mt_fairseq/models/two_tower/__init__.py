"""ManagerTower, BridgeTower and METER: one network, three ways from encoders to fusion."""
