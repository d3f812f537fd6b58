"""Money: what the record says has moved is what has moved at Stripe, and nothing moves twice.

Each query answers what an invariant is broken by: the id that it is about, and a sentence. `order_money` and
`stripe_money` are the views of `chaos/outside.py`.
"""

_LIVE = "('pending', 'requires_action', 'succeeded')"
_FULFILLED = "('completed', 'partially_refunded', 'refunded')"
_OVER = "('failed', 'canceled')"

MONEY: dict[str, str] = {
    "what is captured on record came in at Stripe": """
        SELECT p.order_id, format('Order %s has captured %s %s by the record, at Stripe %s is %s with %s.', p.order_id,
            p.captured_amount, p.currency, p.payment_intent_id, coalesce(s.status, 'unknown'), s.received)
        FROM payments p LEFT JOIN stripe_payments s ON s.id = p.payment_intent_id
        WHERE p.status = 'succeeded' AND (s.id IS NULL OR s.status <> 'succeeded' OR s.received <> p.captured_amount
            OR s.currency <> p.currency)""",
    "what came in at Stripe is for an order that is fulfilled, or goes back": f"""
        SELECT coalesce(s.order_id::text, s.id), format('%s of payment %s for order %s are at Stripe, and no order uses them.',
            s.remaining, s.id, s.order_id)
        FROM stripe_money s LEFT JOIN order_money o ON o.payment_intent_id = s.id AND o.payment_status = 'succeeded'
            AND o.status IN {_FULFILLED}
        WHERE s.remaining > 0 AND o.id IS NULL AND NOT s.on_desk
            AND NOT EXISTS (SELECT FROM human_tasks t WHERE t.workflow_id = 'order-' || s.order_id AND t.status = 'open')""",
    "captured is kept, refunded or lost": """
        SELECT id, format('Order %s: of %s captured, %s are refunded by its refunds, %s by its payment, and %s are lost.', id,
            received, refunded, refunded_amount, lost)
        FROM order_money
        WHERE completed_at IS NOT NULL AND payment_intent_id IS NOT NULL
            AND (refunded_amount <> refunded OR refunded + lost > received)""",
    "what is kept of an order is what Stripe has left of it": """
        SELECT o.id, format('Order %s keeps %s by the record and %s at Stripe.', o.id, o.received - o.refunded - o.lost
            + h.by_hand, s.remaining)
        FROM order_money o JOIN stripe_money s ON s.id = o.payment_intent_id
        CROSS JOIN LATERAL (SELECT coalesce(sum(f.amount), 0) AS by_hand FROM refunds f
            WHERE f.payment_intent_id = s.id AND f.status = 'succeeded' AND f.stripe_refund_id IS NULL) h
        WHERE o.completed_at IS NOT NULL AND o.received - o.refunded - o.lost + h.by_hand <> s.remaining""",
    "at most one charge of an order counts": """
        SELECT order_id, format('Order %s is paid %s times: %s.', order_id, count(*), string_agg(id, ', ' ORDER BY id))
        FROM stripe_money WHERE remaining > 0 AND NOT on_desk AND order_id IS NOT NULL
        GROUP BY order_id HAVING count(*) > 1""",
    "no refund goes beyond its charge": """
        SELECT coalesce(order_id::text, id), format('%s goes back of the %s of payment %s.', refunded, received, id)
        FROM stripe_money WHERE remaining < 0""",
    "each refund at Stripe is on record": f"""
        SELECT p.order_id, format('Refund %s of %s for order %s at Stripe is not on record.', r.id, r.amount, p.order_id)
        FROM stripe_refunds r JOIN stripe_payments p ON p.id = r.payment_intent_id
        JOIN orders o ON o.id = p.order_id
        WHERE r.status IN {_LIVE} AND NOT EXISTS (SELECT FROM refunds f WHERE f.stripe_refund_id = r.id)""",
    "each refund on record stands as at Stripe": f"""
        SELECT f.order_id, format('Refund %s (%s) is %s with %s by the record and %s with %s at Stripe.', f.id,
            f.stripe_refund_id, f.status, f.amount, coalesce(r.status, 'unknown'), r.amount)
        FROM refunds f LEFT JOIN stripe_refunds r ON r.id = f.stripe_refund_id
        WHERE f.stripe_refund_id IS NOT NULL AND (r.id IS NULL OR r.amount <> f.amount
            OR (r.status <> f.status AND NOT (r.status IN {_OVER} AND f.status IN {_OVER})))""",
    "no refund was made twice": f"""
        SELECT refund_id, format('Refund %s was made %s times at Stripe: %s.', refund_id, count(*),
            string_agg(id, ', ' ORDER BY id))
        FROM stripe_refunds WHERE refund_id IS NOT NULL AND status IN {_LIVE} GROUP BY refund_id HAVING count(*) > 1""",
    "no place is refunded for more than it cost": f"""
        SELECT m.id, format('Place %s cost %s, and %s of it goes back.', e.id, e.share_amount, sum(f.amount))
        FROM enrollments e JOIN refunds f ON f.enrollment_id = e.id AND f.status IN {_LIVE}
        JOIN order_money m ON m.id = f.order_id
        WHERE m.received <= m.total_amount
        GROUP BY m.id, e.id HAVING sum(f.amount) > e.share_amount""",
    "every fulfilled order has its money": f"""
        SELECT id, format('Order %s is %s, but its %s %s did not come in.', id, status, total_amount, currency)
        FROM order_money WHERE status IN {_FULFILLED} AND total_amount > 0
            AND NOT (coalesce(payment_status = 'succeeded' AND captured_amount > 0, false)
                OR coalesce(invoice_status = 'paid', false))""",
    "an order is refunded when its money is back": """
        SELECT o.id, format('Order %s is %s, while %s of %s are refunded and %s lost.', o.id, o.status, o.refunded,
            o.received, o.lost)
        FROM order_money o
        WHERE (o.status = 'completed' AND o.refunded > 0)
            OR (o.status = 'refunded' AND o.refunded + o.lost < o.received
                AND NOT EXISTS (SELECT FROM refunds f WHERE f.order_id = o.id AND f.status IN ('failed', 'canceled')))""",
    "each dispute stands as at Stripe": """
        SELECT coalesce(d.order_id, p.order_id), format('Dispute %s is %s by the record and %s at Stripe.', s.id,
            coalesce(d.status, 'unknown'), s.status)
        FROM stripe_disputes s JOIN stripe_payments p ON p.id = s.payment_intent_id
        JOIN orders o ON o.id = p.order_id
        LEFT JOIN disputes d ON d.stripe_dispute_id = s.id
        WHERE d.id IS NULL OR d.status <> s.status OR d.amount <> s.amount""",
    "a refund that failed was put before a person": """
        SELECT f.order_id, format('Refund %s has failed, and nobody was asked about it.', f.id)
        FROM refunds f WHERE f.status = 'failed' AND NOT EXISTS (SELECT FROM human_tasks t
            WHERE t.subject_id IN (f.id, f.order_id, f.enrollment_id, f.request_id) OR t.workflow_id = f.workflow_id
                OR t.workflow_id = 'refund-watch-' || f.stripe_refund_id)""",
    "a refund that is asked for is on its way": """
        SELECT f.order_id, format('Refund %s is %s, and neither Stripe nor %s works on it.', f.id, f.status, f.workflow_id)
        FROM refunds f WHERE f.stripe_refund_id IS NULL AND f.status IN ('pending', 'requires_action')
            AND NOT EXISTS (SELECT FROM jobs j WHERE j.workflow_id = f.workflow_id AND j.is_open)""",
    "an invoice has what was paid for it": """
        SELECT i.order_id, format('Invoice %s counts %s as paid, its payments come to %s.', i.id, i.paid_amount,
            coalesce(sum(p.amount), 0))
        FROM invoices i LEFT JOIN invoice_payments p ON p.invoice_id = i.id
        GROUP BY i.id HAVING i.paid_amount <> coalesce(sum(p.amount), 0)""",
}
