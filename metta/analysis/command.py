"""What the commands over results have in common: `COMMAND RESULTS...`."""

from metta.base.addresses import local_path
from metta.base.flags import Parser


def results_parser(prog: str, description: str) -> Parser:
    """Takes results files or their folders."""
    parser = Parser(prog=prog, description=description)
    parser.add_argument("results", nargs="+", type=local_path, metavar="RESULTS", help="results files, or folders")
    return parser
