"""Places: each is paid for or has a cause, seats and slots are nobody's twice, coupons and certificates are counted."""

_FULFILLED = "('completed', 'partially_refunded', 'refunded')"
_SEATED = "('pending_approval', 'pending_payment', 'active', 'suspended')"
_HAD = "('active', 'suspended', 'completed', 'expired')"

PLACES: dict[str, str] = {
    "every fulfilled order has brought its places": f"""
        SELECT o.id, format('Order %s is %s, and its line %s has brought no place.', o.id, o.status, l.id)
        FROM orders o JOIN order_lines l ON l.order_id = o.id
        WHERE o.status IN {_FULFILLED} AND NOT l.already_entitled
            AND NOT EXISTS (SELECT FROM enrollments e WHERE e.order_line_id = l.id)""",
    "no place is had without an order that is fulfilled": f"""
        SELECT o.id, format('Place %s is %s, while its order %s is %s.', e.id, e.status, o.id, o.status)
        FROM enrollments e JOIN order_lines l ON l.id = e.order_line_id JOIN orders o ON o.id = l.order_id
        WHERE e.status IN {_HAD} AND o.status NOT IN {_FULFILLED}""",
    "only an open order holds a place": """
        SELECT o.id, format('Place %s is %s, while its order %s is %s.', e.id, e.status, o.id, o.status)
        FROM enrollments e JOIN order_lines l ON l.id = e.order_line_id JOIN orders o ON o.id = l.order_id
        WHERE e.status IN ('pending_approval', 'pending_payment') AND o.status <> 'pending_payment'""",
    "no paid place is gone without a cause": f"""
        SELECT o.id, format('Place %s of order %s was paid for and is gone, and no money goes back.', e.id, o.id)
        FROM enrollments e JOIN order_lines l ON l.id = e.order_line_id JOIN orders o ON o.id = l.order_id
        WHERE o.status IN {_FULFILLED} AND e.status = 'canceled' AND e.share_amount > 0
            AND NOT EXISTS (SELECT FROM refunds f WHERE f.enrollment_id = e.id
                OR (f.order_id = o.id AND f.enrollment_id IS NULL))
            AND NOT EXISTS (SELECT FROM refund_requests q WHERE q.enrollment_id = e.id AND q.status = 'approved')
            AND NOT EXISTS (SELECT FROM disputes d WHERE d.order_id = o.id)""",
    "seats are counted as they are taken": f"""
        SELECT c.id, format('Course %s counts %s seats as taken, %s places hold one.', c.id, c.seats_taken, count(e.id))
        FROM courses c LEFT JOIN enrollments e ON e.course_id = c.id AND e.status IN {_SEATED}
        WHERE c.capacity IS NOT NULL GROUP BY c.id HAVING c.seats_taken <> count(e.id)""",
    "no course is oversold": f"""
        SELECT c.id, format('Course %s has %s seats, %s places hold one.', c.id, c.capacity, count(*))
        FROM courses c JOIN enrollments e ON e.course_id = c.id AND e.status IN {_SEATED}
        GROUP BY c.id HAVING count(*) > c.capacity""",
    "nobody has a course twice": f"""
        SELECT min(l.order_id::text), format('Somebody holds %s places of course %s: %s.', count(*), e.course_id,
            string_agg(e.id::text, ', ' ORDER BY e.id))
        FROM enrollments e JOIN order_lines l ON l.id = e.order_line_id
        WHERE e.status IN {_SEATED} GROUP BY e.student_id, e.course_id HAVING count(*) > 1""",
    "slots are held by open orders and booked by fulfilled ones": f"""
        SELECT o.id, format('Slot %s is %s, while order %s is %s.', s.id, s.status, o.id, o.status)
        FROM lesson_slots s JOIN order_lines l ON l.id = s.order_line_id JOIN orders o ON o.id = l.order_id
        WHERE (s.status = 'held' AND o.status <> 'pending_payment')
            OR (s.status IN ('booked', 'completed') AND o.status NOT IN {_FULFILLED})""",
    "no hour of a tutor is taken twice": """
        SELECT min(id::text), format('Tutor %s has %s lessons at %s.', tutor_id, count(*), starts_at)
        FROM lesson_slots WHERE status IN ('held', 'booked', 'completed')
        GROUP BY tutor_id, starts_at HAVING count(*) > 1""",
    "a lesson to come has its place": """
        SELECT l.order_id, format('Slot %s is booked for order %s, whose places are gone.', s.id, l.order_id)
        FROM lesson_slots s JOIN order_lines l ON l.id = s.order_line_id
        WHERE s.status = 'booked' AND s.starts_at > now()
            AND NOT EXISTS (SELECT FROM enrollments e WHERE e.order_line_id = l.id AND e.status <> 'canceled')""",
    "uses of coupons are counted": """
        SELECT c.id, format('Coupon %s counts %s uses, there are %s.', c.id, c.uses, count(u.id))
        FROM coupons c LEFT JOIN coupon_uses u ON u.coupon_id = c.id AND u.status <> 'released'
        GROUP BY c.id HAVING c.uses <> count(u.id)""",
    "coupons are used within their limits": """
        SELECT c.id, format('Coupon %s may be used %s times, and is used %s times.', c.id, c.usage_limit, count(*))
        FROM coupons c JOIN coupon_uses u ON u.coupon_id = c.id AND u.status <> 'released'
        GROUP BY c.id HAVING count(*) > c.usage_limit""",
    "nobody uses a coupon more often than one may": """
        SELECT c.id, format('Coupon %s may be used %s times by one person, and somebody has used it %s times.', c.id,
            c.per_person_limit, count(*))
        FROM coupons c JOIN coupon_uses u ON u.coupon_id = c.id AND u.status <> 'released'
        GROUP BY c.id, u.person_id HAVING count(*) > c.per_person_limit""",
    "uses of coupons go with their orders": """
        SELECT o.id, format('Order %s is %s, and its use of a coupon is %s.', o.id, o.status, coalesce(u.status, 'missing'))
        FROM orders o LEFT JOIN coupon_uses u ON u.order_id = o.id
        WHERE o.coupon_id IS NOT NULL AND coalesce(u.status, 'missing') <> ALL (CASE
            WHEN o.status = 'pending_payment' THEN ARRAY['reserved']
            WHEN o.status IN ('completed', 'partially_refunded') THEN ARRAY['confirmed']
            WHEN o.status = 'refunded' THEN ARRAY['confirmed', 'released']
            ELSE ARRAY['released'] END)""",
    "one certificate of a kind is in force": """
        SELECT enrollment_id, format('Place %s has %s certificates of one kind in force.', enrollment_id, count(*))
        FROM certificates WHERE status = 'issued' GROUP BY enrollment_id, template_id HAVING count(*) > 1""",
    "no certificate outlives its place": """
        SELECT e.id, format('Certificate %s is in force, and its place %s is canceled.', c.id, e.id)
        FROM certificates c JOIN enrollments e ON e.id = c.enrollment_id CROSS JOIN academies a
        WHERE c.status = 'issued' AND c.template_id IS NOT NULL AND e.status = 'canceled'
            AND a.refund_revokes_certificate""",
}
