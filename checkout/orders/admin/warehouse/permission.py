"""Who may send parcels, and take back what was marked by mistake."""

MAY_SHIP = "orders.ship_order"
