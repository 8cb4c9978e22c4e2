"""Reading PTX: from bytes to tokens, statements and operands; nothing here knows how anything runs."""
