"""What the commands over results have in common: `COMMAND RESULTS... [--seed N]`."""

from metta.base.addresses import local_path
from metta.base.flags import Parser, natural


def results_parser(prog: str, description: str) -> Parser:
    """Takes results files or their folders, and the seed of what is drawn."""
    parser = Parser(prog=prog, description=description)
    parser.add_argument("results", nargs="+", type=local_path, metavar="RESULTS", help="results files, or folders")
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="seed of the bootstrap draws (default: 0)")
    return parser
