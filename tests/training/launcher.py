"""Run a program in several processes, as `moviestrip train` does: launcher.py PROCESSES NODES RENDEZVOUS PROGRAM..."""

import sys

from moviestrip.errors import MoviestripError
from moviestrip.training.together import train_together

if __name__ == "__main__":
    processes, nodes, rendezvous, *program = sys.argv[1:]
    try:
        train_together(program, int(processes), int(nodes), rendezvous or None)
    except MoviestripError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
