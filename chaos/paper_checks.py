"""Papers and mails: one for each fact, numbered without a gap, sent once."""

_LIVE = "('pending', 'requires_action', 'succeeded')"

PAPERS: dict[str, str] = {
    "every completed order has one receipt": """
        SELECT o.id, format('Order %s is %s and has %s receipts.', o.id, o.status, count(d.id))
        FROM orders o LEFT JOIN documents d ON d.order_id = o.id AND d.kind = 'receipt'
        GROUP BY o.id HAVING count(d.id) <> (CASE WHEN o.completed_at IS NULL THEN 0 ELSE 1 END)""",
    "every invoice has one paper": """
        SELECT o.id, format('Order %s has %s invoices and %s papers of them.', o.id, i.number, d.number)
        FROM orders o
        CROSS JOIN LATERAL (SELECT count(*) AS number FROM invoices WHERE order_id = o.id) i
        CROSS JOIN LATERAL (SELECT count(*) AS number FROM documents WHERE order_id = o.id AND kind = 'invoice') d
        WHERE i.number <> d.number""",
    "every refund of a completed order has one credit note": f"""
        SELECT o.id, format('Refund %s of order %s is %s and has %s credit notes.', f.id, o.id, f.status, count(d.id))
        FROM refunds f JOIN order_money o ON o.id = f.order_id
        LEFT JOIN documents d ON d.refund_id = f.id AND d.kind = 'credit_note'
        WHERE o.completed_at IS NOT NULL AND f.status IN {_LIVE}
            AND (f.payment_intent_id IS NULL OR f.payment_intent_id = o.payment_intent_id)
            AND (f.stripe_refund_id IS NOT NULL OR f.status = 'succeeded')
        GROUP BY o.id, f.id, f.status HAVING count(d.id) <> 1""",
    "receipts less credit notes are the money kept": f"""
        SELECT o.id, format('Order %s: its papers come to %s, the money kept to %s.', o.id, p.paper, o.received - o.refunded)
        FROM order_money o
        CROSS JOIN LATERAL (SELECT
            (SELECT o.received * count(*) FROM documents d WHERE d.order_id = o.id AND d.kind = 'receipt')
            - (SELECT coalesce(sum(f.amount), 0) FROM documents d JOIN refunds f ON f.id = d.refund_id
                WHERE d.order_id = o.id AND f.status IN {_LIVE}) AS paper) p
        WHERE o.completed_at IS NOT NULL AND p.paper <> o.received - o.refunded
            AND NOT EXISTS (SELECT FROM refunds f WHERE f.order_id = o.id AND f.status = 'requires_action')""",
    "numbers have no gap": """
        WITH given AS (
            SELECT regexp_replace(number, '-[0-9]+$', '') AS series, substring(number from '[0-9]+$')::int AS n FROM orders
            UNION ALL SELECT regexp_replace(number, '-[0-9]+$', ''), substring(number from '[0-9]+$')::int FROM documents
            UNION ALL SELECT 'certificate:' || regexp_replace(number, '-[0-9]+$', ''), substring(number from '[0-9]+$')::int
            FROM certificates WHERE number IS NOT NULL),
        counted AS (SELECT series, count(*) AS count, count(DISTINCT n) AS different, max(n) AS last FROM given GROUP BY series)
        SELECT coalesce(c.series, s.name), format('Series %s has counted to %s; %s numbers were given, %s different, the last is %s.',
            coalesce(c.series, s.name), s.last_number, coalesce(c.count, 0), coalesce(c.different, 0), c.last)
        FROM counted c FULL JOIN number_series s ON s.name = c.series
        WHERE coalesce(s.last_number, 0) <> coalesce(c.count, 0) OR coalesce(c.different, 0) <> coalesce(c.count, 0)
            OR coalesce(c.last, 0) <> coalesce(c.count, 0)""",
    "one mail for each key": """
        SELECT subject_id, format('Mail %s about %s is in the ledger %s times.', template, subject_id, count(*))
        FROM mails GROUP BY recipient_id, template, subject_id, occasion HAVING count(*) > 1""",
    "no mail was handed over without an end": """
        SELECT workflow_id, format('Mail %s (%s) was handed over, and nobody has written down its end.', id, template)
        FROM mails WHERE status = 'queued' AND handed_over_at IS NOT NULL""",
    "a mail that waits has somebody who sends it": """
        SELECT m.workflow_id, format('Mail %s (%s) is queued, and its job %s is over.', m.id, m.template, m.workflow_id)
        FROM mails m WHERE m.status = 'queued' AND m.deferred_until IS NULL
            AND NOT EXISTS (SELECT FROM jobs j WHERE j.workflow_id = m.workflow_id AND j.is_open)""",
}

# Those that somebody has to have looked into the mailbox for.
MAILBOX: dict[str, str] = {
    "no mail arrived twice": """
        SELECT m.workflow_id, format('Mail %s (%s) arrived %s times.', m.id, m.template, d.copies)
        FROM delivered d JOIN mails m ON m.id = d.mail_id
        WHERE d.copies > 1 + (SELECT count(*) FROM audit_log a WHERE a.subject_kind = 'mail' AND a.subject_id = m.id
            AND a.reason LIKE 'sent again by hand%')""",
    "what counts as sent has arrived": """
        SELECT m.workflow_id, format('Mail %s (%s) counts as sent, and did not arrive.', m.id, m.template)
        FROM mails m LEFT JOIN delivered d ON d.mail_id = m.id WHERE m.status = 'sent' AND d.mail_id IS NULL""",
    "what has arrived counts as sent or unknown": """
        SELECT coalesce(m.workflow_id, d.mail_id::text), format('Mail %s (%s) arrived, and the ledger has it as %s.', d.mail_id,
            m.template, coalesce(m.status, 'missing'))
        FROM delivered d LEFT JOIN mails m ON m.id = d.mail_id
        WHERE coalesce(m.status, 'missing') NOT IN ('sent', 'unknown')""",
}
