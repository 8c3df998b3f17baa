"""`python -m dip_exp ...` is the same as `python run.py ...`, and also works without a checkout."""

from dip_exp.cli import main

if __name__ == "__main__":
    main()
