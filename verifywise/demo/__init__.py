"""The demo: two organizations whose models were really trained and logged."""
