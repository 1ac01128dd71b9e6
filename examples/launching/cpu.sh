#!/usr/bin/env bash
# fairseq-train in one process a core, each with its share of a batch:
#   bash examples/launching/cpu.sh PROCESSES DATA [fairseq-train options]
# --batch-size is each process's own. On CPUs fairseq starts no processes itself and knows only its
# own gradient exchange. The first process prints; where one fails, all end.
set -euo pipefail
processes=${1:?name the number of processes}
shift
export OMP_NUM_THREADS=1
if [ "$processes" -eq 1 ]; then exec fairseq-train "$@" --cpu; fi
port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
for ((rank = 0; rank < processes; rank++)); do
  fairseq-train "$@" --cpu --distributed-backend gloo --ddp-backend legacy_ddp \
    --distributed-world-size "$processes" --distributed-rank "$rank" --distributed-no-spawn \
    --distributed-init-method "tcp://127.0.0.1:$port" &
done
for ((rank = 0; rank < processes; rank++)); do wait -n; done
