from checkout.orders.ways_to_pay.web_side import WebSide

WEB = WebSide()
