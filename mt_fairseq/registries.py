"""Where a user's own ``--user-dir`` registers its parts: one decorator for each kind.

    from mt_fairseq.registries import register_manager

    @register_manager("mine")
    class MyManager(PreviousOutputManager): ...

Tasks, criterions, models and scorers register with fairseq's own decorators. Names that are taken
or unknown are UserErrors that list what there is. ``examples/extend`` has an example of each.
"""

from mt_fairseq.data.transforms import register_transform
from mt_fairseq.models.albef.heads import register_albef_head
from mt_fairseq.models.encoders import register_encoder
from mt_fairseq.models.two_tower.heads import register_head
from mt_fairseq.modules.aggregation.bridges import register_bridge
from mt_fairseq.modules.aggregation.managers import register_manager
from mt_fairseq.modules.cross_modal import register_fusion

__all__ = [
    "register_albef_head",
    "register_bridge",
    "register_encoder",
    "register_fusion",
    "register_head",
    "register_manager",
    "register_transform",
]
