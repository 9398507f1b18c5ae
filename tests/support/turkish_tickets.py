"""A customer's file as it comes: Turkish tickets, semicolons, CP1254, 29 labels and a few faults that people make.

Made of sentence parts, so that it is nobody's mail; `write` puts the faults in and tells where they are.
"""

import itertools
import random

OPENINGS = (
    "merhaba",
    "iyi günler",
    "selamlar",
    "acil",
    "lütfen yardım edin",
    "bir sorum var",
    "tekrar yazıyorum",
    "merhabalar",
    "kolay gelsin",
    "sayın yetkili",
)
CLOSINGS = (
    "teşekkürler",
    "bilgi verir misiniz",
    "dönüş bekliyorum",
    "ne yapmalıyım",
    "şimdiden sağ olun",
    "saygılar",
    "mümkünse bugün",
    "çok bekledim",
    "ilginize teşekkürler",
    "cevap bekliyorum",
)
TOPICS = {
    "kargo_gecikmesi": (
        "kargom hâlâ gelmedi",
        "siparişim iki haftadır yolda",
        "paketim gecikti",
        "teslimat tarihi geçti",
    ),
    "yanlis_urun": ("bana yanlış ürün gönderdiniz", "kutudan başka bir ürün çıktı", "istediğim renk bu değil"),
    "hasarli_urun": (
        "ürün kırık çıktı",
        "paket ezilmiş ve ürün çizik",
        "ekranı çatlak geldi",
        "ürün hasarlı teslim edildi",
    ),
    "iade_talebi": (
        "ürünü iade etmek istiyorum",
        "iade kodu alamıyorum",
        "geri göndermek istiyorum",
        "iade süresi ne kadar",
    ),
    "para_iadesi": (
        "param hesabıma yatmadı",
        "iade tutarı gelmedi",
        "geri ödeme ne zaman yapılır",
        "parayı geri alamadım",
    ),
    "degisim": (
        "bir büyük bedenle değiştirmek istiyorum",
        "ürün değişimi yapıyor musunuz",
        "bedeni küçük geldi değişsin",
    ),
    "fatura": (
        "faturam e-postama gelmedi",
        "fatura bilgilerim yanlış",
        "kurumsal fatura istiyorum",
        "faturayı indiremedim",
    ),
    "odeme_hatasi": (
        "ödeme sırasında hata aldım",
        "kartım reddedildi",
        "ödeme ekranı açılmıyor",
        "3D güvenlik kodu gelmedi",
    ),
    "cift_cekim": ("kartımdan iki kez para çekildi", "çift ödeme alınmış", "aynı tutar iki defa tahsil edildi"),
    "taksit": (
        "taksit yapabiliyor muyum",
        "taksit seçeneği görünmüyor",
        "dokuz taksit istiyorum",
        "taksitleri nasıl öderim",
    ),
    "kupon": (
        "indirim kodum çalışmıyor",
        "kupon geçersiz diyor",
        "kampanya kodu sepette uygulanmadı",
        "kuponumu kullanamadım",
    ),
    "puan": ("sadakat puanlarım silinmiş", "puanım yüklenmedi", "biriken puanı nasıl harcarım", "puan bakiyem eksik"),
    "hediye_karti": (
        "hediye kartımı tanımlayamadım",
        "hediye çeki bakiyesi görünmüyor",
        "hediye kartı almak istiyorum",
    ),
    "sifre": (
        "şifremi unuttum",
        "şifre sıfırlama bağlantısı gelmiyor",
        "parolamı değiştiremiyorum",
        "yeni şifre kabul edilmiyor",
    ),
    "giris": (
        "hesabıma giriş yapamıyorum",
        "oturum sürekli kapanıyor",
        "giriş ekranı dönüp duruyor",
        "hesabım kilitlendi",
    ),
    "hesap_silme": (
        "hesabımı silmek istiyorum",
        "üyeliğimi kapatın",
        "verilerimin silinmesini istiyorum",
        "üyelik iptali yapın",
    ),
    "adres": (
        "teslimat adresimi değiştirmek istiyorum",
        "adresim yanlış kayıtlı",
        "yeni adres ekleyemiyorum",
        "adresi güncelleyin",
    ),
    "siparis_iptali": (
        "siparişimi iptal etmek istiyorum",
        "iptal düğmesi çalışmıyor",
        "yanlışlıkla sipariş verdim iptal edin",
    ),
    "stok": ("ürün ne zaman stoğa girecek", "stokta yok görünüyor", "tükenen ürün gelecek mi", "stok bilgisi yanlış"),
    "fiyat": ("ürünün fiyatı değişmiş", "sepette fiyat arttı", "etiket fiyatı farklı", "fiyat farkını iade edin"),
    "garanti": (
        "garanti süresi ne kadar",
        "garanti belgem kayboldu",
        "garanti kapsamına girer mi",
        "garantiye göndermek istiyorum",
    ),
    "teknik_servis": (
        "cihaz açılmıyor servise versem",
        "en yakın teknik servis nerede",
        "servis kaydı açmak istiyorum",
    ),
    "kurulum": ("montaj için randevu istiyorum", "kurulum ekibi gelmedi", "kurulum ücretli mi", "montajı kim yapacak"),
    "uygulama": ("mobil uygulama çöküyor", "uygulama güncellemeden sonra açılmıyor", "bildirimler gelmiyor uygulamada"),
    "abonelik": (
        "aboneliğimi yenilemek istemiyorum",
        "abonelik ücreti arttı",
        "paketimi yükseltmek istiyorum",
        "abonelik bitmiyor",
    ),
    "sikayet": (
        "müşteri temsilciniz çok kabaydı",
        "ilgisizlikten şikâyetçiyim",
        "kurye saygısız davrandı",
        "şikâyetim var",
    ),
    "oneri": (
        "bir önerim olacak",
        "siteye karanlık mod ekleyin",
        "önerim şu olacak daha çok ödeme yolu",
        "fikrimi paylaşmak isterim",
    ),
    "magaza": (
        "Isparta mağazanız açık mı",
        "en yakın mağaza nerede",
        "mağaza çalışma saatleri nedir",
        "İzmir şubesi nerede",
    ),
}
OUTSIDE = (
    "yarın hava nasıl olacak",
    "bana bir fıkra anlat",
    "Türkiye'nin başkenti neresi",
    "maç kaç kaç bitti",
    "mercimek çorbası tarifi verir misin",
    "dolar ne kadar oldu",
    "bugün günlerden ne",
    "en iyi film hangisi",
)
OUT_OF_SCOPE = "kapsam_dışı"
HEADER = ("kayıt no", "mesaj", "konu", "not")  # the last one is empty in every row


def rows(number=3000, seed=0):
    """Texts and labels: 28 topics, one in twelve out-of-scope; no text twice."""
    draw = random.Random(seed)
    topics = [*TOPICS.items()] * 11 + [(OUT_OF_SCOPE, OUTSIDE)] * 28
    made = {}
    cycle = itertools.cycle(topics)
    while len(made) < number:
        label, bodies = next(cycle)
        opening, closing, order = draw.choice(OPENINGS), draw.choice(CLOSINGS), draw.randrange(10_000, 99_999)
        body = draw.choice(bodies)
        frames = (
            f"{opening}, {body}, {closing}",
            f"{body} (sipariş {order}). {closing}",
            f"{opening} {body}, no {order}",
        )
        made.setdefault(draw.choice(frames), label)
    return list(made.items())


def write(path, number=3000, seed=0):
    """Write the file with its faults; return what was planted, by name, with the lines (from 1) where it stands."""
    made = rows(number, seed)
    lines = [f"{i};{_quoted(text)};{label};" for i, (text, label) in enumerate(made, 1)]
    planted = {}

    def put(name, at, line):
        lines[at] = line
        planted.setdefault(name, []).append(at + 2)  # the header is line 1

    put("label with one row", 10, "11;dükkânın Wi-Fi parolası nedir;wifi;")
    for at in (20, 220, 420):
        put("near-duplicate label", at, f"{at + 1};faturam gelmedi, {at};Fatura ;")
    put("blank text", 30, "31;   ;iade_talebi;")
    put("blank label", 40, "41;siparişim nerede;  ;")
    put("ragged row", 50, "51;kargom nerede; acaba;kargo_gecikmesi;")
    put("conflicting text", 60, f"61;{_quoted(made[61][0])};{'fatura' if made[61][1] != 'fatura' else 'puan'};")
    put("repeated text", 70, f"71;{_quoted(made[71][0])};{made[71][1]};")
    put("NUL", 80, "81;bozuk\0hücre geldi;fatura;")
    path.write_bytes("\r\n".join([";".join(HEADER), *lines, ""]).encode("cp1254"))
    return planted


def _quoted(text):
    return f'"{text}"' if any(mark in text for mark in ';"\n') else text
