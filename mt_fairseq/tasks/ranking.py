"""What a retrieval task is at the time of fairseq-generate: queries instead of samples."""

import logging
from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.retrieval_generator import RetrievalGenerator, Workload
from mt_fairseq.evaluation.retrieval_items import ItemDictionary, QueryDataset, RetrievalItems
from mt_fairseq.evaluation.retrieval_scorer import RetrievalResults
from mt_fairseq.tasks.config import VisionLanguageConfig
from mt_fairseq.tasks.gathering import GatheringTask

logger = logging.getLogger(__name__)

DEFAULT_TOPK = 128  # ManagerTower on Flickr30K, appendix A.2


@dataclass
class RankingConfig(VisionLanguageConfig):
    retrieval_direction: ChoiceEnum(["both", "image", "text"]) = field(  # type: ignore[valid-type]
        default="both",
        metadata={
            "help": "what fairseq-generate looks for: image (images for a text), text (texts for "
            "an image) or both"
        },
    )
    retrieval_topk: Optional[int] = field(
        default=None,
        metadata={
            "help": "how many of a query's most similar items image-text matching ranks again "
            "(default: what the checkpoint was trained with, 128 in the recipe for Flickr30K, 256 "
            f"for COCO; {DEFAULT_TOPK} where it names none; all, if the model has no contrastive "
            "head); 0 leaves the order of similarity"
        },
    )
    gallery_cache_gb: float = field(
        default=4.0,
        metadata={
            "help": "memory in GB for encoded texts and pictures; a larger gallery is worked "
            "through in blocks that fit, which changes no result"
        },
    )


class RankingTask(GatheringTask):
    """A task over captioned pictures whose texts and images fairseq-generate ranks."""

    cfg: RankingConfig
    dictionary: ItemDictionary

    def __init__(self, cfg: RankingConfig, data_bin: DataBin | None) -> None:
        if cfg.retrieval_topk is not None and cfg.retrieval_topk < 0:
            raise UserError(f"--retrieval-topk {cfg.retrieval_topk}: give 0 or more")
        if cfg.gallery_cache_gb < 0:
            raise UserError(f"--gallery-cache-gb {cfg.gallery_cache_gb}: give 0 or more")
        self.has_criterion = False
        self.trained_topk: int | None = None
        self.share: dict[str, Any] = {}
        super().__init__(cfg, data_bin)

    def set_vocabularies(self, tokenizer: TextTokenizer, labels: list[str] | None) -> None:
        super().set_vocabularies(tokenizer, labels)
        self.dictionary = ItemDictionary(tokenizer)

    def build_criterion(self, *args: Any, **kwargs: Any) -> Any:
        """Training and fairseq-validate ask for one: they read samples, not queries."""
        self.has_criterion = True
        return super().build_criterion(*args, **kwargs)

    def new_results(self, split: str) -> RetrievalResults | None:
        """What collects the answers of fairseq-generate."""
        if self.has_criterion:
            return None
        items = RetrievalItems(self.opened_data_bin, split)
        return RetrievalResults(items, self.dictionary, str(self.cfg.retrieval_direction))

    def load_dataset(
        self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any
    ) -> None:
        """The samples of a split; in fairseq-generate its queries."""
        super().load_dataset(split, combine, task_cfg, **kwargs)
        if isinstance(self.results, RetrievalResults):
            self.trained_topk = getattr(task_cfg, "retrieval_topk", None)
            self.datasets[split] = QueryDataset(
                self.results.items, self.datasets[split], self.dictionary, self.results.direction
            )

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """As the base's; also notes which queries fall to this process, and the batch size."""
        iterator = super().get_batch_iterator(dataset, *args, **kwargs)
        if isinstance(dataset, QueryDataset):
            batches = iterator.frozen_batches
            if iterator.shard_id >= len(batches):
                raise UserError(
                    f"--distributed-world-size {iterator.num_shards}: the queries make no more "
                    f"batches than {len(batches)}; take fewer processes or a smaller --batch-size"
                )
            own = [i for batch in batches[iterator.shard_id :: iterator.num_shards] for i in batch]
            self.share = {
                "queries": sorted(dataset.numbers[int(i)] for i in own),
                "batch_size": max(map(len, batches), default=1),
                "workers": iterator.num_workers,
            }
        return iterator

    def build_generator(self, models: list[Any], args: Any, **kwargs: Any) -> RetrievalGenerator:
        """Ranks the queries of this process; ``--nbest`` items of each become hypotheses.

        By the heads that the checkpoint has: without contrast, as after METER's fine-tuning or
        plain pre-training, all pairs are ranked by matching.

        Raises UserError for several models, or for one without the heads that ranking needs.
        """
        if len(models) > 1:
            raise UserError("--path: retrieval ranks with one checkpoint at a time")
        topk = self.cfg.retrieval_topk
        contrastive = "itc" in models[0].heads
        if not contrastive and topk is not None:
            raise UserError(
                f"--retrieval-topk {topk}: this model has no contrastive head that could choose "
                "them; without the option all pairs are ranked"
            )
        if topk is None and contrastive:
            topk = DEFAULT_TOPK if self.trained_topk is None else self.trained_topk
        if topk != 0 and "itm" not in models[0].heads:
            raise UserError(
                "this model has no head for image-text matching to rank pairs with; "
                "--retrieval-topk 0 ranks by similarity alone"
            )
        if topk:
            logger.info("matching ranks a query's %d most similar items again", topk)
        (dataset,) = (d for d in self.datasets.values() if isinstance(d, QueryDataset))
        workload = Workload(
            topk=topk,
            nbest=args.nbest,
            cache_bytes=int(self.cfg.gallery_cache_gb * 1e9),
            **self.share,
        )
        return RetrievalGenerator(models[0], dataset, workload)
