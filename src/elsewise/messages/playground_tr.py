"""Turkish of the page where a served model is tried."""

from typing import Final

MESSAGES: Final = {
    # The page.
    "page_title": "Metin sınıflandırıcıyı deneyin",
    "language": "Türkçe",
    "skip": "Metinlere geç",
    "links": "Diğer sayfalar",
    "docs": "Sunucudan başka neler istenebilir?",
    "title": "Modeli deneyin",
    "subtitle": "{labels} etiket ya da {other}.",
    "opening": "Sunucuya hangi modeli sunduğu soruluyor …",
    "no_script": "Bu sayfa için JavaScript gerekir. Onsuz istenebilecekler şu sayfada:",
    "footer": "Elsewise {version}. Bu sayfa yalnızca bu sunucuya bağlanır ve hiçbir şey saklamaz.",
    "infinite": "∞",
    "minus_infinite": "−∞",
    # The key.
    "key": "API anahtarı",
    "key_why": (
        "Bu sunucu anahtarı olanlara yanıt verir. Anahtar bu sayfanın belleğinde kalır, yalnızca bu sunucuya "
        "gönderilir ve sayfa kapanınca silinir."
    ),
    "key_use": "Bu anahtarı kullan",
    "key_wrong": "Sunucu bu anahtarı tanımıyor.",
    # The texts.
    "texts": "Metinler",
    "texts_label": "Sınıflandırılacak metinler",
    "texts_hint": "Bir ya da daha çok metin yapıştırın",
    "each_line": "Her satır ayrı bir metindir",
    "decide": "Sınıflandır",
    "open_file": "CSV dosyası aç",
    "drop": "CSV dosyası bu sayfanın herhangi bir yerine de bırakılabilir.",
    "file_is": "{name}: {rows} satır",
    "file_first": "Bunların ilk {most} tanesi alındı. Dosyanın tümü için: elsewise predict MODEL FILE -o ANSWERS",
    "column": "Metinlerin sütunu",
    "remove_file": "Dosyayı kaldır",
    "file_encoding": "Bu dosya UTF-8 değil. Dosyayı “CSV UTF-8” olarak kaydedip yeniden açın.",
    "file_empty": "Bu dosyada başlığın altında satır yok.",
    "file_large": "Bu dosya bir sayfa için çok büyük. Dosyanın tümü için: elsewise predict MODEL FILE -o ANSWERS",
    "no_text": "Önce bir metin yazın.",
    # The threshold.
    "threshold": "Eşik",
    "threshold_label": "Şu güven değerinden başlayarak etiket ver",
    "threshold_number": "Sayı olarak eşik",
    "as_served": "Modelin kendi eşiği",
    "at_certified": "Vaadin sınandığı eşik: {threshold}.",
    "at_served": "Modelin kendi eşiği: {threshold}. Bu eşik sınanmadı.",
    "at_each_label": "Modelin kendi eşikleri, her etiket için bir tane.",
    "at_everything": "Modelin kendi eşiğiyle okunabilen her metne etiket verilir.",
    "at_nothing": "Modelin kendi eşiğiyle hiçbir metne etiket verilmez.",
    "at_own": "Sizin eşiğiniz: {threshold}. Bu yanıtlar için vaat yoktur.",
    "not_movable": ("Bu modelin güven değeri ({score}) 0 ile 1 arasında değildir. Eşiği burada değiştirilemez."),
    "promise_short": (
        "Verdiği etiketlerin en az {target} kadarı doğrudur. Emin olmadığı metin için yanıt şudur: {other}."
    ),
    "promise_none": "Hiçbir şey vaat edilmiyor: hiçbir doğruluk oranı kanıtlanamadı. Her metnin yanıtı: {other}.",
    "promise_whole": "Vaadin tamamı",
    "no_promise": "Hiçbir şey vaat edilmiyor: bu modelin eşiği bir vaat için sınanmadı.",
    # The answers.
    "answers": "Yanıtlar",
    "no_answers": "Yanıtlar burada görünür.",
    "summary": "{texts} metinden {answered} tanesine etiket verildi ({share}), {other}: {left}",
    "summary_failed": "yanıtsız kalan: {failed}",
    "asking": "{texts} metinden {done} tanesi …",
    "waiting": "Sunucu dolu. {seconds} saniye sonra yeniden denenecek …",
    "show": "Göster",
    "show_all": "tüm metinler",
    "show_answered": "etiket verilenler ({n})",
    "show_other": "{other} ({n})",
    "more": "{n} tane daha göster",
    "label_mix": "Hangi etiket kaç kez verildi?",
    "bars": "En iyi etiketlerin olasılıkları",
    "at_threshold": "eşik {threshold}",
    "at_own_threshold": "sizin eşiğiniz {threshold}, vaat yok",
    "confidence_bar": "Güven değeri",
    "all_labels": "Tüm etiketler ({labels})",
    "truncated": "Bu metin modelin okuyabileceğinden uzun: sonu okunmadı.",
    "barred": "Hiçbir eşikte bu metne etiket verilmez.",
    "not_decided": "yanıtsız",
    "swapped": "Sunucudaki model değişti: bunlar yeni modelin yanıtları.",
    # The words that pulled.
    "why": "Hangi sözcükler etkili oldu?",
    "why_asking": "Metin, her sözcüğü çıkarılarak yeniden soruluyor …",
    "why_long": "{most} karakterden uzun metinler burada açıklanmaz.",
    "pulls": "Şu etikete doğru çekenler: {label}",
    "pulls_intro": (
        "Metin, her sözcüğü çıkarılarak yeniden yanıtlandı. Sağa doğru: sözcük bu etiketi destekliyor. Sola doğru: bu "
        "etikete karşı. Sayılar log-odds cinsindendir."
    ),
    "pulls_grouped": "Metin uzun olduğu için sözcükler birkaçı bir arada çıkarıldı.",
    "pulls_none": "Bu metnin hiçbir sözcüğü yanıtı değiştirmiyor.",
    "pulls_cut": "Model {characters} karakterden ilk {read} tanesini okuyor.",
    "pulls_unknown": "Modelin sözcük dağarcığında olmayanlar: {pieces}",
    "nearest": "Bilinen metinlere göre en yakın etiketler: {labels}",
    # What goes wrong.
    "error_reach": "Sunucuya ulaşılamıyor.",
    "error_internal": "Sunucuda bir hata oldu. Yeri sunucunun günlüğünde yazılı.",
    "error_not_ready": "Model henüz yükleniyor.",
    "error_draining": "Sunucu kapanıyor.",
    "error_queue_full": "Sunucu dolu. Daha sonra yeniden deneyin.",
    "error_deadline": "Sunucu zamanında yanıt veremeyecek kadar meşguldü. Yeniden deneyin.",
    "error_text_long": "Bu metin çok uzun: en çok {most} karakter olabilir.",
    "error_body_large": "Bu metinler tek bir istek için çok büyük: en çok {most} bayt olabilir.",
    "error_other": "{title}: {detail}.",
}
