"""Installs geods: four import packages, a TFDS builder folder, and the programs that python -m runs."""

import pathlib

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent

# The folder names are the import names; a bare find_packages() would also ship tests.
PACKAGES = find_packages(
    str(HERE), include=["geods", "geods.*", "model", "model.*", "trainers", "trainers.*", "tools", "tools.*"]
)

PACKAGE_DATA = {
    # Without the first four an installed builder has no description, citation or tags.
    "geods": ["README.md", "CITATIONS.bib", "TAGS.txt", "checksums.tsv", "py.typed"],
    "model": ["py.typed"],
    "trainers": ["recipes/*.cfg", "recipes/features/*.cfg", "plots/assets/*", "serving/assets/*", "py.typed"],
    "tools": ["py.typed"],
}

REQUIREMENTS = [
    "absl-py>=2.1",
    # The tfds command imports these three and TFDS declares none of them (tensorflow/datasets#5463, #11212).
    "apache-beam>=2.72",
    "importlib_resources>=6",
    "mlcroissant>=1.0",
    "fiona>=1.10",
    # The checksums of TFRecords.
    "google-crc32c>=1.6",
    # Older Keras runs code found in model files (CVE-2025-1550 and its line).
    "keras>=3.12",
    "matplotlib>=3.8",
    "ml_dtypes>=0.4",
    "numpy>=2.0",
    "pillow>=11.3",
    # Mapillary's vector tiles; TensorFlow brings it.
    "protobuf>=5.26",
    "psutil>=5.9",
    # GeoParquet, which the GDAL of fiona's wheel does not read.
    "pyarrow>=18",
    "requests>=2.32",
    "scipy>=1.11",
    "shapely>=2.1",
    # 2.20 imports pkg_resources, which setuptools 82 and newer do not have.
    "tensorboard>=2.21",
    "tensorflow>=2.19",
    "tensorflow-datasets>=4.9.9",
    # TFDS asks for any version; without a floor, Python 3.10 resolves to 0.5.0 of 2018.
    "tensorflow-metadata>=1.16",
    "tqdm>=4.66",
]

EXTRAS = {
    # JPEGs decoded straight into batches, for tools.benchmark_input and trainers.extract: --decode=auto takes it.
    "fast": ["simplejpeg>=1.8"],
    "gpu": [
        "tensorflow[and-cuda]>=2.19",
        "nvidia-nvimgcodec-cu12>=0.6; platform_system == 'Linux'",
        "nvidia-nvjpeg-cu12>=12; platform_system == 'Linux'",
    ],
    # Paths that are URLs, s3:// and gs://; fsspec, which both stand on, comes with TFDS already.
    "cloud": ["s3fs>=2025.3", "gcsfs>=2025.3"],
    # Builds and extraction on the workers of a cluster: --beam_pipeline_options=runner=DaskRunner.
    "dask": ["distributed>=2026.8"],
    # --runtime=openvino, and encoders from ONNX files: --backbone=onnx:PATH.
    "openvino": ["openvino>=2025.0"],
    # Extraction in whole numbers of 8 bits: --runtime=openvino --precision=int8.
    "int8": ["nncf>=3.0", "openvino>=2025.0"],
    # Hexagons as cells: tools.make_partition --cells=h3.
    "h3": ["h3>=4.1"],
    # Runs as ONNX and LiteRT files: tools.export writes them, and opens what it wrote.
    "export": ["ai-edge-litert>=2.1", "onnxruntime>=1.20", "openvino>=2025.0", "tf2onnx>=1.17"],
    # The servers tools.serve and tools.play.
    "serve": ["tornado>=6.5"],
    # Other backends for training and prediction: KERAS_BACKEND=jax or torch.
    "jax": ["jax>=0.6"],
    "torch": ["torch>=2.6"],
    # Encoders named hub:...; it reaches into Keras, so each minor release is tried before it is let in.
    "hub": ["keras-hub>=0.32,<0.33"],
    "dev": [
        # Servers that speak S3 and Google's storage, for the tests of URLs, and what those are read with. moto[server]
        # would bring 30 packages of other services.
        "flask>=3",
        "flask-cors>=5",
        "gcp-storage-emulator>=2026.7",
        "gcsfs>=2025.3",
        "moto[s3]>=5.1",
        "s3fs>=2025.3",
        # tfds.testing needs dill and does not declare it.
        "dill>=0.3.9",
        "distributed>=2026.8",
        "h3>=4.1",
        "ai-edge-litert>=2.1",
        "onnxruntime>=1.20",
        "tf2onnx>=1.17",
        "hypothesis>=6.100",
        # tests/tools/test_notebook.py runs docs/colab.ipynb.
        "ipykernel>=6.29",
        "nbclient>=0.10",
        "mypy>=1.15",
        "nncf>=3.0",
        "openvino>=2025.0",
        "pytest>=8",
        "pytest-xdist>=3.6",
        "ruff>=0.11",
        # tests/system/test_packaging.py builds a wheel; Python 3.12 and newer put no setuptools into a venv.
        "setuptools>=77",
        "simplejpeg>=1.8",
        "tornado>=6.5",
        "types-requests>=2.32",
        "types-tqdm>=4.66",
    ],
}

setup(
    name="geods",
    version="0.1.0",
    description="Train models that say where on a map a street-level photograph was taken.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=PACKAGES,
    package_data=PACKAGE_DATA,
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
)
