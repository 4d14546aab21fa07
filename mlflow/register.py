"""Register an encoder version: `python mlflow/register.py bundled:compact-clip --version 1`."""

from __future__ import annotations

import argparse

from encoders.spec import resolve
from pipelines.releases.registry import register_encoder
from pipelines.settings import load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", help="URI of the encoder, e.g. open-clip:ViT-B-32/laion2b_s34b_b79k")
    parser.add_argument("--version", default="1", help="its version in this store")
    parser.add_argument("--dimensions", type=int, help="declared length of its vectors, for a model that is only named")
    arguments = parser.parse_args()
    spec = resolve(arguments.encoder, version=arguments.version, dimensions=arguments.dimensions)
    registered = register_encoder(spec, load_settings())
    print(f"{registered.uri}  {spec.key}  {spec.dimensions} dimensions  {spec.checksum or 'no checksum'}")


if __name__ == "__main__":
    main()
