"""The version, in a leaf module so that the command line need not import the package."""

__version__ = "0.1.0"
