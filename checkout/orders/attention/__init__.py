"""Why a person must look at an order: the reasons, their rows and what reads them."""
