"""Whether a text reads like terms at all, for pages that nothing else vouches for."""

from __future__ import annotations

import re

_LEAST_WORDS = 300
_LEAST_SHARE = 0.012
# Stems that contracts and privacy notices are full of and home pages are not, in the languages of the collections.
_STEMS = re.compile(
    r"\b(?:terms|agreement|privacy|personal (?:data|information)|liab|warrant|consent|rights?|"
    r"third part|process(?:ing|or|ed)|applicable law|arbitrat|terminat|shall|pursuant|licen[cs]|intellectual|comply|"
    r"disclos|gdpr|"
    r"conditions|données|vie privée|responsab|consentement|droits?|traitement|tiers|résili|contrat|conformément|"
    r"nutzungsbedingung|datenschutz|personenbezogen|haft|einwilligung|recht|verarbeit|vertrag|gemäß|"
    r"condiciones|datos|derechos?|tratamiento|consentimiento|contrato|términos|"
    r"condizioni|dati|diritt|trattament|consenso|contratto|condições|dados|direitos?|tratamento|"
    r"voorwaarden|gegevens|rechten|toestemming|overeenkomst|warunki|dane|danych|prawa?|zgod[ay]|umow)",
    re.IGNORECASE,
)


def reads_like_terms(text: str) -> bool:
    """A long text in which a word in eighty is one that contracts use."""
    words = len(text.split())
    return words >= _LEAST_WORDS and len(_STEMS.findall(text)) >= _LEAST_SHARE * words
