"""Pure values: money, dates, texts, phones, MACs, currencies. No database, no configuration, no portal."""
