"""Package metadata; constraints.txt holds the tested versions, each pin with its reason."""

from setuptools import find_packages, setup

# fairseq-fixed itself is installed beside this package, by `pip install --no-deps` (README.md): its
# metadata name torchaudio, which neither it nor this package imports, and of which PyPI has for
# Linux only builds that end in an OSError beside a torch without CUDA. transformers imports
# torchaudio wherever it is installed, so that OSError would be transformers' too. These are
# fairseq-fixed's other requirements.
FAIRSEQ_REQUIRES = [
    "bitarray>=2",
    "cffi>=1.15",
    "cython>=3",
    "hydra-core==1.3.2",
    "omegaconf==2.3.0",
    "packaging>=22",
    "regex>=2022.1.18",
    "sacrebleu>=1.4.12",
    "scikit-learn>=1.2",
]
REQUIRES = [
    *FAIRSEQ_REQUIRES,
    "h5py>=3.8",
    "matplotlib>=3.9",
    "numpy>=1.26",
    "pillow>=10.3",
    "safetensors>=0.4",
    "sentencepiece>=0.2",
    "tensorboard>=2.14",
    "torch>=2.6",
    "tqdm>=4.64",
    "transformers>=5.20,<6",
]
TEST = [
    "hypothesis>=6",
    "ipykernel>=6.29",
    "nbclient>=0.10",
    "psutil>=5.9",
    "pytest>=8",
    "pytest-xdist>=3.5",
    "selenium>=4.20",
]
DEV = ["mypy>=1.14", "pre-commit>=3", "ruff>=0.9"]

setup(
    name="mt-fairseq",
    version="0.1.0",
    description="ManagerTower and its family of two-tower vision-language models for fairseq",
    python_requires=">=3.10",
    packages=find_packages(include=["mt_fairseq", "mt_fairseq.*", "preprocess", "preprocess.*"]),
    package_data={"mt_fairseq.demo": ["page/*"]},
    install_requires=REQUIRES,
    extras_require={"test": TEST, "dev": TEST + DEV},
    entry_points={
        "console_scripts": [
            "mt-preprocess = preprocess.__main__:main_entry",
            "mt-user-dir = mt_fairseq.user_dir:main",
            *(
                f"mt-{name} = mt_fairseq.cli.scripts:{name}"
                for name in ("evaluate", "predict", "plan", "doctor", "convert", "analysis", "demo")
            ),
        ]
    },
)
