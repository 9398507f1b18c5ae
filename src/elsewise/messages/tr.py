"""Turkish. A label stands in quotes with the word for it after it, since a suffix would have to follow its vowels."""

from typing import Final

MESSAGES: Final = {
    "decimal": ",",
    "percent": "%{number}",
    "and": "{first} ve {second}",
    "answered": 'Etiket: "{best}", olasılığı {p}; {compared}.',
    "unreadable": "{other}: metinde modelin okuyabileceği bir içerik yok.",
    "unfamiliar": "{other}: metin, eğitim metinlerine benzemiyor{how}; {compared}.",
    "ambiguous": (
        '{other}: iki etiket birbirine çok yakın, "{best}" (olasılığı {p}) ve "{second}" (olasılığı {q}){possible}; '
        "{compared}."
    ),
    "unsure": '{other}: model emin değil, en olası etiket "{best}" (olasılığı {p}); {compared}.',
    "how_one": " (kapsam içi metinlerde bu kadar farklı olanların oranı en fazla {share}); en yakın etiket {near}",
    "how_two": " (kapsam içi metinlerde bu kadar farklı olanların oranı en fazla {share}); en yakın etiketler {near}",
    "possible": "; olası etiketler: {labels}",
    "reaches": "güven değeri ({confidence}) eşik değerine ({threshold}) ulaşıyor",
    "below": "güven değeri ({confidence}) eşik değerinin ({threshold}) altında kalıyor",
    "margin": "aradaki fark, bu kuralın gerektirdiğinden küçük",
    "nothing": "güven değeri ({confidence}) yeterli değil, çünkü bu kural hiçbir metne etiket vermiyor",
    "everything": "güven değeri ({confidence}) yeterli, çünkü okunabilen her metne etiket veriliyor",
    "customer_answered": 'Bu metin otomatik olarak "{best}" başlığı altında sınıflandırıldı.',
    "customer_unreadable": (
        "Bu metin otomatik olarak sınıflandırılamadı: içinde okunabilir bir içerik bulamadık. "
        "Metni bir görevlimiz inceleyecektir."
    ),
    "customer_unfamiliar": (
        "Bu metin otomatik olarak sınıflandırılamadı: bildiğimiz konuların hiçbirine benzemiyor. "
        "Metni bir görevlimiz inceleyecektir."
    ),
    "customer_ambiguous": (
        'Bu metin otomatik olarak sınıflandırılamadı: hem "{best}" hem de "{second}" başlığına uygun görünüyor. '
        "Metni bir görevlimiz inceleyecektir."
    ),
    "customer_unsure": (
        "Bu metin otomatik olarak sınıflandırılamadı: hangi konuyla ilgili olduğu yeterince açık değil. "
        "Metni bir görevlimiz inceleyecektir."
    ),
    "customer_nothing": ("Bu metin otomatik olarak sınıflandırılmadı. Metni bir görevlimiz inceleyecektir."),
}
