"""What does compressing a language model cost its Arabic, compared with its English?"""

__version__ = "0.1.0"
