#!/usr/bin/env bash
# Train managertower_tiny from random weights on easy-VQA and print the held-back accuracy:
#   bash examples/easy_vqa/train.sh DATA-BIN SAVE-DIR [fairseq-train options]
set -euo pipefail
data=${1:?name the data-bin}
save_dir=${2:?name the folder for checkpoints}
shift 2
# Threads of a tiny model meet often: they spin briefly, neither asleep at once nor forever.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-30000}

# Pictures of 48 pixels in patches of 8: a patch must show a corner for shapes to be told apart.
# No dropout and no noise: the model sees each question a few times only.
fairseq-train "$data" --user-dir user_dir --cpu --task vqa --criterion vqa \
  --arch managertower_tiny --image-size 48 --patch-size 8 --max-text-len 16 \
  --dropout 0 --attention-dropout 0 --encoder-dropout 0 --manager-noise 0 \
  --train-transform square --batch-size 32 --required-batch-size-multiple 1 --num-workers 0 \
  --optimizer adamw --lr 5e-4 --clip-norm 1 --lr-scheduler linear --warmup-ratio 0.1 \
  --max-update 3000 --save-dir "$save_dir" --no-epoch-checkpoints \
  --log-format simple --log-interval 100 "$@"
fairseq-generate "$data" --user-dir user_dir --cpu --task vqa --gen-subset valid \
  --path "$save_dir/checkpoint_last.pt" --batch-size 64 --scoring vqa_accuracy --quiet
