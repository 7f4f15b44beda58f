/**
 * Words of the Gulf and of Bahrain with their standard Arabic, written for this project: `word|standard|g or b|English`.
 * g: said across the Gulf; b: said in Bahrain or marks it. Spellings of one word are separated by `/`.
 */

const ROWS = `
شنو/شنهو/شنهي|ماذا|g|what
وين|أين|g|where
منو/منهو/منهي|من|g|who
ليش|لماذا|g|why
شلون/شلونك|كيف|g|how
جم/چم|كم|g|how many
شكثر|كم|g|how much
متى ما|حينما|g|whenever
الحين|الآن|g|now
هالحزة|في هذه اللحظة|b|at this moment
باجر/باچر|غدا|g|tomorrow
عقب|بعد|g|after
البارح/البارحة|أمس|g|last night
جدام/چدام|أمام|g|in front of
ورا|خلف|g|behind
يم|بجانب|g|beside
برع/برا|في الخارج|g|outside
هني/هنيه|هنا|g|here
هناك/هناكه|هناك|g|there
جذي/چذي/جذيه|هكذا|g|like this
وايد|كثيرا|g|very, much
شوي/شوية|قليلا|g|a little
زين/زينة|جيد|g|good
خوش|جيد|g|good (before the noun)
عدل|صحيح|g|right, straight
أبي/أبغي/أبغى|أريد|g|I want
تبي/تبغي/تبين|تريد|g|you want
يبي/يبغي/يبون|يريد|g|he wants
نبي/نبغي|نريد|g|we want
أقدر|أستطيع|g|I can
تقدر/تقدرين|تستطيع|g|you can
يقدر/يقدرون|يستطيع|g|he can
نقدر|نستطيع|g|we can
أشوف|أرى|g|I see
شاف|رأى|g|he saw
شوف|انظر|g|look
طالع|انظر|b|look
دش/يدش|دخل|g|he entered
طلع|خرج|g|he went out
راح|ذهب|g|he went
بروح|سأذهب|g|I will go
روح|اذهب|g|go
رد|عاد|g|he came back
يا/ياي|جاء|b|he came
ياب/يابوا|أحضر|b|he brought
ييب/اييب|يحضر|b|he brings
طرش|أرسل|g|he sent
حجى/حچى|تكلم|g|he spoke
يحجي/يحچي/يتحجى|يتكلم|g|he speaks
سولف/يسولف|تحدث|g|he chatted
قعد|جلس|g|he sat
قاعد/قاعدة|جالس|g|sitting; (before a verb) is doing
رقد/يرقد|نام|g|he slept
نش|استيقظ|b|he woke up
كل/كلا|أكل|g|he ate
تريق|أفطر|g|he had breakfast
تغدى|تناول الغداء|g|he had lunch
بطل/يبطل|فتح|b|he opened
سكر/بند|أغلق|g|he closed
حط/يحط|وضع|g|he put
شل|حمل|b|he carried
خذ/خذيت|أخذ|g|he took
عطني|أعطني|g|give me
خل/خلي|دع|g|let
دور/يدور|بحث|g|he looked for
لقى|وجد|g|he found
ضيع|أضاع|g|he lost
طاح|سقط|g|he fell
تحاتي/أحاتي|تقلق|b|you worry
أدري|أعرف|g|I know
ماميش|لا يوجد|b|there is not
ماكو|لا يوجد|g|there is not
مب/مو/مهب|ليس|g|is not
بعده/بعدها|ما زال|g|still
توني|منذ لحظة|g|I have just
عشان/علشان|لأجل|g|for, because
لين|حتى|g|until
حق|لـ|g|for, to
مال/مالت|لـ|g|of, belonging to
اللي|الذي|g|who, which
هذيل/هذيله/هذيلين|هؤلاء|g|these
هذاك|ذلك|g|that
احنا/حنا|نحن|g|we
انتو|أنتم|g|you (plural)
اهو/هو|هو|b|he
اهي|هي|b|she
وياي/وياك/وياه/ويا|مع|g|with
إي/اي|نعم|g|yes
أبد/أبدن|أبدا|g|never
عيل|إذن|b|so, then
جان/چان|كان|b|was; if
يمكن|ربما|g|perhaps
أكيد|بالتأكيد|g|surely
صج/صدج|حقا|g|really
جذب/چذب|كذب|g|a lie
ريال|رجل|g|man
ريل|زوج|b|husband
حرمة|امرأة|g|woman
مرة|امرأة|g|woman
ياهل|طفل|b|child
يهال|أطفال|b|children
صبي|غلام|g|boy
ولد|ابن|g|son, boy
بنية|فتاة|g|girl
يد/يده|جد|b|grandfather
يدة/يدتي|جدة|b|grandmother
أمي العودة|جدتي|b|my grandmother
عود/عودة|كبير|g|big, elder
صغيرون|صغير|b|little
ربع/ربيع|أصدقاء|g|friends
ربيعي|صديقي|g|my friend
فريج/فريق|حي|b|neighbourhood
يار/ياري|جار|b|neighbour
نوخذة|ربان|g|ship's captain
بيت|بيت|g|house
دريشة|نافذة|g|window
حجرة|غرفة|g|room
ميلس|مجلس|g|sitting room
حوش|فناء|g|yard
كبت|خزانة|g|cupboard
كنديشن|مكيف|g|air conditioner
بانكة|مروحة|g|fan
ليت|مصباح|g|light
جوتي|حذاء|g|shoes
نعال|خف|g|sandals
هدوم|ملابس|g|clothes
غترة|غطاء رأس الرجل|g|headcloth
بشت|عباءة الرجل|g|men's cloak
خاشوقة|ملعقة|g|spoon
قفشة|ملعقة|b|spoon
جنطة/شنطة|حقيبة|g|bag
بوك|محفظة|b|wallet
بيزات|نقود|b|money
فلوس|نقود|g|money
خردة|نقود معدنية|g|small change
ميز|طاولة|b|table
كرسي|كرسي|g|chair
قلاص/جلاص|كوب|b|cup
جدر|قدر|g|pot
ماعون|صحن|g|dish
مخدة|وسادة|g|pillow
لحاف|غطاء|g|quilt
قطوة|قطة|g|cat
دياية|دجاجة|b|hen
سمج/سمچ|سمك|g|fish
ربيان|جمبري|g|shrimp
عيش|أرز|g|rice
طماط|طماطم|g|tomatoes
بتيتة|بطاطس|b|potatoes
بطاط|بطاطس|g|potatoes
جح|بطيخ|b|watermelon
رقي|بطيخ|g|watermelon
ماي|ماء|g|water
جاي/چاي|شاي|g|tea
ريوق|فطور|g|breakfast
غدا|غداء|g|lunch
عشا|عشاء|g|dinner
صالونة|مرق|g|stew
مجبوس/مچبوس|أرز باللحم والبهار|g|spiced rice with meat
نخج|حمص مسلوق|b|boiled chickpeas
حلاوة|حلوى|g|sweets
يوعان|جائع|b|hungry
عطشان|عطشان|g|thirsty
تعبان|متعب|g|tired
مستانس|مسرور|g|pleased
زعلان|غاضب|g|angry
خربان|معطل|g|broken
متروس|مملوء|b|full
يديد/يديدة|جديد|b|new
عتيج|قديم|b|old
ثجيل|ثقيل|b|heavy
حار|حار|g|hot
بارد|بارد|g|cold
سنع|أدب|g|good manners
شغل|عمل|g|work
دوام|ساعات العمل|g|working hours
معاش|راتب|g|salary
دكان|متجر|g|shop
برادة|بقالة|b|grocery
مسيد|مسجد|b|mosque
سيكل|دراجة|g|bicycle
موتر|سيارة|g|car
تاير|إطار|g|tyre
دريول|سائق|g|driver
باص|حافلة|g|bus
تانكي|خزان ماء|g|water tank
هوا|هواء|g|wind
رطوبة|رطوبة|g|humidity
قيظ|صيف|g|summer
غوص|غوص|g|pearl diving
محمل|سفينة|g|dhow
بانوش|قارب صيد|b|fishing boat
هقوة|ظن|g|expectation
سالفة|حكاية|g|story
هوشة|شجار|g|quarrel
عزيمة|دعوة|g|invitation
كشخة|أناقة|g|elegance
مشكور|شكرا|g|thank you
شدعوة|لا بأس|b|come on, never mind
يالله|هيا|g|come on
حياك|أهلا بك|g|welcome
فالك طيب|لك ما تريد|g|as you wish
`;

/** @typedef {{words: string[], standard: string, variety: 'gulf'|'bahraini', english: string}} Entry */

/** @type {Entry[]} */
export const LEXICON = ROWS.trim()
  .split('\n')
  .map((row) => row.split('|'))
  .map(([words, standard, variety, english]) => ({
    words: words.split('/'), standard, variety: variety === 'b' ? 'bahraini' : 'gulf', english,
  }));
