"""`python -m service` is `policywatch`."""

from service.cli import main

if __name__ == "__main__":
    main()
