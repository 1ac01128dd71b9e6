#!/usr/bin/env bash
# Train managertower_tiny from random weights on easy-VQA and print the held-back accuracy:
#   bash examples/easy_vqa/train.sh DATA-BIN SAVE-DIR
set -euo pipefail
data=${1:?name the data-bin}
save_dir=${2:?name the folder for checkpoints}
here=$(dirname "${BASH_SOURCE[0]}")

# Images of 48 pixels in patches of 8: a patch must show a corner for shapes to be told apart.
# Two layers everywhere, no dropout, no noise: in these minutes more updates are worth most.
train() {
  bash "$here/../launching/cpu.sh" 2 "$data" --user-dir user_dir --task vqa --criterion vqa \
    --arch managertower_tiny --vision-layers 2 --text-layers 2 --num-cross-modal-layers 2 \
    --num-managed-layers 2 --image-size 48 --patch-size 8 --max-text-len 16 \
    --dropout 0 --attention-dropout 0 --encoder-dropout 0 --manager-noise 0 \
    --train-transform square --batch-size 16 --required-batch-size-multiple 1 --num-workers 0 \
    --optimizer adamw --clip-norm 1 --lr-scheduler linear --warmup-ratio 0.1 \
    --no-epoch-checkpoints --disable-validation --log-format simple --log-interval 100 "$@"
}

# First what must be seen to be answered: three quarters of all questions ask for yes or no, most of
# them can be guessed, and their noise drowns the few that name a shape.
train --train-splits open --lr 5e-4 --max-update 1400 --save-dir "$save_dir/open"
# Then all questions. The encoders keep what they see: the other parts learn faster than they do.
train --finetune-from-model "$save_dir/open/checkpoint_last.pt" --lr 2e-4 \
  --cross-modal-lr-multiplier 3 --head-lr-multiplier 5 --max-update 3900 --save-dir "$save_dir/all"

fairseq-generate "$data" --user-dir user_dir --cpu --task vqa --gen-subset valid \
  --path "$save_dir/all/checkpoint_last.pt" --batch-size 64 --scoring vqa_accuracy --quiet
