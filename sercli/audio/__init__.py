"""Reading recordings: finding, decoding and conditioning them, and finding the speech in them."""
