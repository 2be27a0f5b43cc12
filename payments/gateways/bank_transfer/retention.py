"""What becomes of old rows of bank transfers; see `checkout.runtime.retention`."""

from checkout.runtime.retention import End, register

WHY = "Money that came or was sent back: the shop's books ask for it for years."

register(
    End(table="bank_transfer.ExpectedTransfer", why=WHY),
    End(table="bank_transfer.ReceivedTransfer", why=WHY),
    End(table="bank_transfer.ReturnedTransfer", why=WHY),
)
