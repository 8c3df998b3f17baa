"""python run.py task=superres arch=skip: the one entry. `python run.py --help` lists what can be chosen."""

from dip_exp.cli import main

if __name__ == "__main__":
    main()
