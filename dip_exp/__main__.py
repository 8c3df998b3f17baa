"""`python -m dip_exp ...` is `python run.py ...`, also where there is no checkout."""

from dip_exp.cli import main

if __name__ == "__main__":
    main()
