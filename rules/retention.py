"""How long files are kept that are not part of anybody's books. The terms are defaults of Registrar.

Receipts, invoices, credit notes and certificates are kept for good; files of exports until the moment that their row
says.
"""

from datetime import timedelta

# What was shown for another name on a certificate, once it is decided: as long as somebody may object to the decision.
EVIDENCE_KEPT = timedelta(days=90)

# What a check has found stays in the record; its workbook is for the year's audit.
WORKBOOKS_KEPT = timedelta(days=400)

# So long an export may take, its worker away for a night; then its job is looked for.
EXPORTS_RUN = timedelta(days=1)
