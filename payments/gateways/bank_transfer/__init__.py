"""Payment by bank transfer: customers send the money themselves, and staff record what came.

No gateway is called. What staff record, or the bank's file tells, are the books that this gateway
answers from, so its payments go through the same door as all others.
"""
