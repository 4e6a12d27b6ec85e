"""Languages are told by script and by their smallest words; in doubt, not at all."""

from __future__ import annotations

import pytest

from tosmon.language import NAMES, alike, guess_language, likely_languages

LANGUAGES = {
    "en": "We may use the information that you give us to provide our services and to keep them safe, and you can ask us "
    "at any time which of your information we hold, or tell us to delete it where the law allows.",
    "de": "Wir dürfen die Angaben, die Sie uns machen, nutzen, um unsere Dienste anzubieten und zu sichern, und Sie "
    "können uns jederzeit fragen, welche Daten wir von Ihnen haben, oder verlangen, dass sie gelöscht werden.",
    "fr": "Nous pouvons utiliser les informations que vous nous donnez pour fournir nos services et les garder, et vous "
    "pouvez nous demander à tout moment quelles données nous avons, ou demander de les effacer dans les cas prévus.",
    "es": "Podemos usar la información que usted nos da para prestar nuestros servicios y mantenerlos, y usted puede "
    "preguntarnos en todo momento qué datos tenemos, o pedir que los borremos en los casos que la ley permite.",
    "it": "Possiamo usare le informazioni che ci dai per fornire i nostri servizi e per tenerli al sicuro, e puoi chiederci "
    "in ogni momento quali dati abbiamo, oppure chiedere di cancellarli nei casi previsti dalla legge e non oltre.",
    "pt": "Podemos usar as informações que você nos dá para fornecer os nossos serviços e os manter, e você pode "
    "perguntar a qualquer momento quais dados temos, ou pedir que sejam apagados nos casos em que a lei não proíbe.",
    "nl": "Wij mogen de gegevens die u ons geeft gebruiken om onze diensten te leveren en te houden, en u kunt ons "
    "op elk moment vragen welke gegevens wij van u hebben, of vragen dat wij ze wissen als de wet dat toelaat.",
    "pl": "Możemy korzystać z informacji, które nam podajesz, aby świadczyć nasze usługi i dbać o ich bezpieczeństwo, a Ty "
    "możesz w każdej chwili zapytać nas, jakie dane przechowujemy, lub zażądać ich usunięcia, jeśli nie jest to sprzeczne "
    "z prawem, które się do nich stosuje.",
    "ru": "Мы можем использовать сведения, которые вы нам даёте, чтобы оказывать наши услуги и беречь их.",
    "ja": "当社は、サービスを提供し、その安全を確保するために、お客様から提供された情報を利用することがあります。",
    "zh": "我们可能会使用您提供的信息来提供我们的服务并确保其安全,您可以随时询问我们持有哪些数据。"
    "您也可以要求我们在法律允许的情况下将其删除。我们会在合理的时间内作出答复。",
    "ar": "قد نستخدم المعلومات التي تقدمها لنا لتقديم خدماتنا والحفاظ على أمنها، ويمكنك أن تسألنا في أي وقت عنها.",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_are_told_by_script_and_common_words(language: str) -> None:
    """One sentence is enough for the languages that platforms use most."""
    assert guess_language(LANGUAGES[language]) == language


@pytest.mark.parametrize("text", ["", "12 34 56", "Murmur Holdings, Harbour Street 5", "foo bar baz " * 50])
def test_what_is_no_language_is_not_guessed(text: str) -> None:
    """Rather nothing than something doubtful."""
    assert guess_language(text) is None


def test_languages_that_cannot_be_told_apart_count_as_one() -> None:
    """Norwegian and Danish, Ukrainian and Russian, regions of one language."""
    assert alike("nb", "da")
    assert alike("uk", "ru")
    assert alike("en-GB", "en_US")
    assert not alike("en", "de")


def test_every_language_told_has_a_name() -> None:
    """People read "Polish", not "pl"."""
    assert all(NAMES[language] for language in LANGUAGES)


def test_of_some_languages_the_likely_ones_remain() -> None:
    """A clause is held against rules of its own language; one too short to say is held against all of them."""
    both = frozenset({"en", "de", "xx"})

    assert likely_languages(frozenset(["you", "may", "not", "use", "the", "service"]), both) == {"en", "xx"}
    assert likely_languages(frozenset(["wir", "haften", "nicht", "für", "die"]), both) == {
        "de",
        "xx",
    }
    assert likely_languages(frozenset({"lizenz"}), both) == both


def without_accents(text: str) -> str:
    return text.translate(str.maketrans("ãêé", "aee"))


def test_words_are_held_against_words_folded_alike() -> None:
    """Rules read folded text: the small words must lose their accents in the same way."""
    folded = frozenset(["nao", "voce", "com"])

    assert likely_languages(folded, frozenset({"pt", "es"}), without_accents) == {"pt"}
    assert likely_languages(folded, frozenset({"pt", "es"})) == {"pt", "es"}
