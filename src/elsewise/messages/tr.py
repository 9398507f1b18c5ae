"""Turkish. A label stands in quotes with the word for it after it, since a suffix would have to follow its vowels."""

from typing import Final

MESSAGES: Final = {
    "decimal": ",",
    "thousands": ".",
    "percent": "%{number}",
    "and": "{first} ve {second}",
    "answered": 'Etiket: "{best}", olasılığı {p}; {compared}.',
    "unreadable": "{other}: metinde modelin okuyabileceği bir içerik yok.",
    "unfamiliar": "{other}: metin, bilinen metinlere benzemiyor{how}; {compared}.",
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
    "barred_ambiguous": "aradaki fark, bu kuralın gerektirdiğinden küçük",
    "barred_unfamiliar": "bu kural böyle bir metne etiket vermez",
    "barred_unsure": "bu, kuralın taban olasılığının altında",
    "nothing": "güven değeri ({confidence}) yeterli değil, çünkü bu kural hiçbir metne etiket vermiyor",
    "everything": "güven değeri ({confidence}) için aranan bir eşik değeri yok",
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
    "promise": (
        "Etiket verilen metinlerde doğruluk oranı en az {target}, güven düzeyi {level}: {tested} {over_draws} {source}"
    ),
    "tested": (
        "bu sınama için ayrılan {rows} etiketli metinden {n} tanesine etiket verildi, bunlardan {errors} tanesi "
        "yanlıştı ({method})."
    ),
    "over_draws": (
        "Güven düzeyi bu metinlerin rastgele seçilmesiyle ilgilidir: gereğinden fazlasını vaat eden seçimlerin oranı "
        "en fazla {delta}{together}."
    ),
    "over_draws_each": (
        "Güven düzeyi bu metinlerin rastgele seçilmesiyle ilgilidir: her bir vaat için, gereğinden fazlasını vaat eden "
        "seçimlerin oranı en fazla {delta}{together}."
    ),
    "looks": "; bu metinlerle yapılan {looks} sınamanın tümü birlikte {held} düzeyinde geçerlidir",
    "source": (
        "Bu vaat, aynı kaynaktan gelen ve kapsam dışı metin oranı {share} olan metinler için geçerlidir; kapsam dışı "
        "metinlerin başka bir oranda olması bu vaadin dışındadır."
    ),
    "method_plain": "kesin binom sınaması, sabit sıra",
    "method_mixed": "iki metin türü için ayrı ayrı kesin sınırlar, sabit sıra",
    "method_groups": "her grupta ayrı ayrı kesin binom sınaması, sabit sıra",
    "method_band": "{points} eşik değerinde birden kesin sınırlar, Bonferroni",
    "gate_unfamiliar": "Bilinen metinlere benzemeyen bir metne etiket verilmez: {measured}.",
    "gate_unsure": "En iyi etiketinin olasılığı çok düşük olan bir metne etiket verilmez: {measured}.",
    "gate_ambiguous": "En iyi iki etiketi birbirine çok yakın olan bir metne etiket verilmez: {measured}.",
    "gate_measured": (
        "kapsam içi olan, ayrılmış {rows} metinden {n} tanesi böyleydi; {level} güven düzeyinde bu tür metinlerin en "
        "fazla {high} kadarı böyledir"
    ),
    "gates_caught": (
        "Kapsam dışı olan, ayrılmış {rows} metinden {n} tanesi bu yolla durduruldu; bu, kapsam dışı metinlerin en az "
        "{low} kadarıdır."
    ),
    "gates_caught_none": (
        "Hiçbir etikete uymayan metinlerin ne kadarının durdurulduğu bilinmiyor: ayrılan metinler arasında böyle bir "
        "metin yoktu."
    ),
    "distinct_texts": (
        "Bu vaatte her metin, ne kadar sık gelirse gelsin, bir kez sayılır: ayrılan {kept_aside} etiketli satırdan "
        "{repeats} tanesi daha önceki bir satırı yinelediği için dışarıda bırakıldı."
    ),
    "repeats_count": "Bu vaat gelen tüm metinler içindir: her metin geldiği kadar sayılır.",
    "one_a_group": (
        "Bu vaat yeni grupların metinleri içindir: her grup, içinden rastgele seçilen bir satırla bir kez sayılır."
    ),
    "newest_rows": "Bu sınama için ayrılan metinler, modelin kalibre edildiği metinlerden daha yenidir.",
    "lower": "Vaat edilen oran, istenen {asked} oranından düşüktür; istenen oran kanıtlanamadı: {more}.",
    "head_lower": "İstenenden azı vaat ediliyor: {asked} kanıtlanamadığı için {target}.",
    "head_nothing": "Vaat yok ve hiçbir metne etiket verilmiyor: {asked} kanıtlanamadı.",
    "head_everything": "Okunabilen her metne etiket veriliyor: {target} oranı eşik değeri olmadan da sağlanıyor.",
    "head_all": "Sınama için ayrılan {rows} etiketli metnin tümüne etiket verildi.",
    "head_gates": (
        "Engellenenler dışında okunabilen her metne etiket veriliyor: {target} oranı eşik değeri olmadan da sağlanıyor."
    ),
    "refusal": (
        "Vaat yok ve hiçbir metne etiket verilmiyor: bu sınama için ayrılan {rows} etiketli satırla, etiket verilen "
        "metinlerde {target} doğruluk oranı {level} güven düzeyinde kanıtlanamadı; {more}. "
        "Bu satırların desteklediği doğruluk oranı: {best}."
    ),
    "none_lower": "{lowest} oranına kadar daha düşük hiçbir hedef de kanıtlanamadı.",
    "more_hopeless": "daha fazla satır bu modele yardımcı olmaz, daha iyi bir model gerekir",
    "more_useless": "daha fazla satır bu modele yardımcı olmaz; daha iyi bir model ya da daha düşük bir hedef olur",
    "more_about": "bu satırların gösterdiği kadarıyla yaklaşık {needed} satır gerekir",
    "more_at_least": "en az {needed} satır gerekir, bazıları yanlış etiketlenirse daha fazlası",
    "best_none": "yok",
    "best": "{accuracy}, tüm eşik değerleri birlikte ele alındığında",
    "best_behind": "{target}, ancak sınamayı geçemeyen daha katı bir eşik değerinden sonra",
    "band_refusal": (
        "Vaat yok ve hiçbir metne etiket verilmiyor: {threshold} eşik değerinde hiçbir doğruluk oranı desteklenmiyor."
    ),
    "mixed": (
        "Kapsam dışı metinlerin oranı en fazla {share} iken, etiket verilen metinlerde doğruluk oranı en az {target}, "
        "güven düzeyi {level}: bu sınama için ayrılan {rows} etiketli kapsam içi metinden {n} tanesine etiket verildi, "
        "bunlardan {errors} tanesi yanlıştı; {outside} ({method}). {over_draws} Bu vaat, iki türün de aynı kaynaktan "
        "gelen metinleri için geçerlidir; daha büyük bir oran bu vaadin dışındadır."
    ),
    "mixed_outside": "{rows} kapsam dışı metinden {n} tanesine etiket verildi, bu oran en fazla {high} kabul edildi",
    "mixed_no_outside": "aralarında kapsam dışı metin yoktu, gelecek olanların tümüne etiket verileceği kabul edildi",
    "group": (
        "Şu etiket verildiğinde doğruluk oranı en az {target}: {who}; güven düzeyi {level}. Sınama: {tested} "
        "{over_draws}{together}"
    ),
    "group_together": " {tests} vaadin tümü birlikte {held} düzeyinde geçerlidir.",
    "group_refusal": (
        "Vaat yok ve hiç verilmiyor: {who}. {target} doğruluk oranı, {rows} etiketli satırla {level} güven düzeyinde "
        "kanıtlanamadı; {more}."
    ),
    "group_more_useless": "daha fazlası yardımcı olmaz",
    "group_more": "yaklaşık {needed} satır gerekir",
    "who_label": 'etiket "{name}"',
    "who_group": 'grup "{name}"',
    "who_rare_one": "tek grup sayılan {labels} seyrek etiket",
    "who_rare_many": "tek grup sayılan {labels} seyrek etiket",
    "too_rare_one": "tek başına sınanamayacak kadar seyrek {labels} etiket",
    "too_rare_many": "tek başına sınanamayacak kadar seyrek {labels} etiket",
    "fallen_back": (
        "Vaat yok: {who}. Eşik değeri {threshold}: {whence}. Bu etiketlerden birini alacak {rows} etiketli metinden "
        "{n} tanesine etiket verildi, bunlardan {errors} tanesi yanlıştı."
    ),
    "whence_certified": "tüm etiketler için birlikte kanıtlanan değer",
    "whence_refused": "kanıtlanan bir değer olmadığı için kullanılan değer",
    "none_of_labels": "Hiçbir etiket tek başına kanıtlanmadı.",
    "none_of_groups": "Hiçbir etiket grubu tek başına kanıtlanmadı.",
    "groups": (
        "Şu etiketler verildiğinde doğruluk oranı en az {target}: {who}; güven düzeyi {level}{each}. Sınama: {tested} "
        "{over}"
    ),
    "groups_refusal": (
        "Vaat yok{other}: etiket verilen metinlerde {target} doğruluk oranı, {rows} etiketli satırla {level} güven "
        "düzeyinde kanıtlanamadı; {more}."
    ),
    "groups_other": " ve hiçbir metne etiket verilmiyor",
    "groups_more_useless": "daha fazla satır bu modele yardımcı olmaz",
    "one_of_labels": "bir etiket",
    "one_of_groups": "bir etiket grubu",
    "each_of_labels": "{certified} etiketin her biri",
    "each_of_groups": "{certified} etiket grubunun her biri",
    "and_with": "{first} ve {second}",
    "each_together": ", bu vaatlerin tümü için birlikte",
    "each_alone": ", bu vaatlerin her biri için ayrı ayrı",
    "all_alone": (
        "Tüm etiketler için birlikte vaat yok: {tests} vaadin tümü birlikte yalnızca {held} düzeyinde geçerlidir."
    ),
    "all_together": "Böylece etiket verilen tüm metinlerde de doğruluk oranı en az {target}.",
    "never_of_labels_one": "{labels} etiket kanıtlanamadı ve hiç verilmiyor.",
    "never_of_labels_many": "{labels} etiket kanıtlanamadı ve hiç verilmiyor.",
    "never_of_groups_one": "{labels} etiket grubu kanıtlanamadı ve hiç verilmiyor.",
    "never_of_groups_many": "{labels} etiket grubu kanıtlanamadı ve hiç verilmiyor.",
    "rare_refused": "Ayrıca {who} var: tüm etiketler için bir eşik değeri kanıtlanamadı ve bunlar hiç verilmiyor.",
    "rare_fall_back": (
        "Ayrıca {who} var: bunlar tüm etiketler için birlikte kanıtlanan {threshold} eşik değerini kullanıyor; ne "
        "bunlar için ne de etiket verilen metinlerin tümü için vaat var."
    ),
    "rare_promised": "Ayrıca {who} var: vaat bunların tümü için birliktedir, her etiket için ayrı değildir.",
    "rare_pool_refused": "Ayrıca {who} var: tek grup olarak da kanıtlanamadılar ve hiç verilmiyorlar.",
    "explain_customer": "Müşteriye: {sentence}",
    "explain_best": "En olası etiketler; {compared}",
    "explain_compared": "güven değeri ({score}) {confidence}, eşik değeri {threshold}",
    "explain_barred": "güven değeri ne olursa olsun, bu metne etiket verilmesini bir kural engelliyor",
    "explain_nearest": "En yakın etiketler: {labels}",
    "explain_possible": "Olası kalan etiketler: {labels}",
    "explain_pulls": '"{best}" etiketine yaklaştıran (+) ve ondan uzaklaştıran (-) sözcükler, log-odds cinsinden',
    "explain_neighbours": "Bilinen metinlerden en yakın olanlar",
    "explain_label": "etiket",
    "explain_probability": "olasılık",
    "explain_pull": "etki",
    "explain_without": "sözcük olmadan olasılık",
    "explain_words": "sözcükler",
    "explain_similarity": "benzerlik",
    "explain_text": "metin",
    "explain_more": " ve {more} tane daha",
    "explain_tokens": "Kullanılan token sayısı: {tokens}",
    "explain_dropped": '; {characters} karakterin son {dropped} tanesi okunmadı, okunan son sözcükler: "{last}"',
    "explain_unknown": "; modelin sözcük dağarcığında olmayanlar: {pieces}",
    "explain_model": "Model: {name}; karar sürümü {version}",
    "explain_hash": "Metin: SHA-256 {hash}",
    "explain_certificate": "Sertifika: {sentence}",
    "explain_none": "yok",
    "explain_written": "yazıldı: {file}",
    "explain_of_text": "metin",
    "explain_of_model": "model",
    "explain_of_decision_version": "karar sürümü",
    "explain_of_certificate": "sertifika",
    "explain_of_answer": "yanıt",
    "explain_same": "aynı",
    "explain_different": "farklı",
    "explain_identical": "aynı, son bitine kadar",
    "explain_close": "aynı; olasılığı yalnızca işlemciler arasında görülebilecek kadar farklı",
    "explain_not_confirmed": "{file} doğrulanmadı: {difference}",
    "explain_differs_text_sha256": "metin, karar kaydındaki metin değil: SHA-256 kayıtta {there}, burada {here}",
    "explain_differs_model": "model, karar kaydındaki model değil: kayıtta {there}, burada {here}",
    "explain_differs_decision_version": (
        "model karar kaydındaki model, ancak kalibrasyonu, kuralı, eşik değeri ya da sertifikası farklı: karar sürümü "
        "kayıtta {there}, burada {here}"
    ),
    "explain_differs_certificate": "sertifika, karar kaydındaki sertifika değil: kayıtta {there}, burada {here}",
    "explain_differs_answer": "yanıt, karar kaydındaki yanıt değil: kayıtta {there}, burada {here}",
    "explain_answer": '"{label}" ({reason}, olasılığı {probability})',
    "explain_reason_answered": "etiket verildi",
    "explain_reason_unreadable": "okunamıyor",
    "explain_reason_unfamiliar": "bilinen metinlere benzemiyor",
    "explain_reason_ambiguous": "iki etiket birbirine çok yakın",
    "explain_reason_unsure": "model emin değil",
    "verdict_kept": (
        "Vaat bu {rows} satırda tutuldu: {given} {answered} satırda doğruluk oranı {value} ({low}–{high}), vaat "
        "edilen en az {target}."
    ),
    "verdict_contradicted": (
        "Vaat bu {rows} satırda tutulmadı: {given} {answered} satırda doğruluk oranı {value} ({low}–{high}), "
        "vaat edilen en az {target}."
    ),
    "verdict_too_few": (
        "Karar vermek için satır sayısı yetersiz: bu {rows} satırdan {given} {answered} tanesinde doğruluk "
        "oranı {value} ({low}–{high}), vaat edilen en az {target}{needed}."
    ),
    "verdict_needed": "; bu satırların gösterdiği kadarıyla, etiket verilen yaklaşık {needed} satır yeterli olur",
    "verdict_none": (
        "Karar vermek için satır sayısı yetersiz: bu {rows} satır arasında {given} satır yok, vaat edilen doğruluk "
        "oranı en az {target}."
    ),
    "verdict_given": "etiket verilen",
    "verdict_given_label": '"{label}" etiketi verilen',
    "verdict_given_group": '"{label}" grubundan etiket verilen',
    "verdict_given_rare": "seyrek etiket verilen",
    "verdict_worst": "Her biri ayrı sınanan {promises} vaat var; en kötü sonuç bu vaatte.",
    "verdict_left_out": (
        "Ayrıca {left_out} satır sayılmadı: metni modelin yapımında kullanılmış, daha önceki bir satırı yineliyor "
        "ya da aldığı etiket için vaat yok."
    ),
    "verdict_out_of_scope": ("Bu satırların {here} kadarı kapsam dışı, vaat ise {there} için verildi: bunu kapsamaz."),
    "shift_believed": (
        "Vaat bu {rows} metin için hâlâ güvenilir: verilen {answered} etikette tahmini doğruluk oranı {value} "
        "({low}–{high}), vaat edilen en az {target}."
    ),
    "shift_below": (
        "Vaat bu {rows} metin için şüpheli: verilen {answered} etikette tahmini doğruluk oranı {value} ({low}–{high}), "
        "vaat edilen en az {target}; bu metinlerden bir bölümünü etiketleyip değerlendirin."
    ),
    "shift_other": (
        "Bu {rows} metin, vaadin kanıtlandığı metinlere benzemiyor: Other oranı {share}, orada {expected} idi; verilen "
        "{answered} etikette tahmini doğruluk oranı {value} ({low}–{high}), vaat edilen en az {target}."
    ),
    "shift_labels": (
        "Bu {rows} metin, vaadin kanıtlandığı metinlere benzemiyor: etiketlerin {share} kadarı oradaki dağılımdan "
        "farklı; verilen {answered} etikette tahmini doğruluk oranı {value} ({low}–{high}), vaat edilen en az {target}."
    ),
    "shift_few": (
        "Vaadin güvenilir olup olmadığını söylemek için etiket sayısı yetersiz: bu {rows} metinde {answered} etiket "
        "verildi, vaat edilen doğruluk oranı en az {target}."
    ),
    "watch_no_promise": "Bu model bir söz vermiyor; tutulacak bir söz de yok.",
    "watch_no_text": "Henüz metin gelmedi.",
    "watch_quiet": "Alarm yok.",
    "watch_raised": "Alarmlar: {alarms}.",
    "watch_accuracy": (
        "Yanıtların kendi olasılıklarına göre doğru yanıtların payı {least} altına düştüğünde verilir. Ne kadar uzun "
        "bakılırsa bakılsın, durum böyle değilken bir kez bile verilme olasılığı en fazla {rate}."
    ),
    "watch_labelled": (
        "Rastgele seçilip etiketlenen yanıtlardan doğru olanların payı {least} altına düştüğünde verilir. Ne kadar "
        "uzun bakılırsa bakılsın, durum böyle değilken bir kez bile verilme olasılığı en fazla {rate}."
    ),
    "watch_other": (
        "Etiketlenen metinlerin payı {least} altına düştüğünde verilir. Ne kadar uzun bakılırsa bakılsın, durum böyle "
        "değilken bir kez bile verilme olasılığı en fazla {rate}."
    ),
}
