"""Who works at Acme Bank, by e-mail address."""

ALICE = "alice@acme.example"
GRACE = "grace@acme.example"
NINA = "nina@acme.example"
SAM = "sam@acme.example"
