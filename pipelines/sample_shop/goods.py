"""What the sample shop can sell: things to draw, colours, styles, brands. Data only."""

from typing import NamedTuple


class Thing(NamedTuple):
    """A kind of product: the OpenMoji drawing behind it, its names and a typical price in CNY."""

    code: str
    en: str
    zh: str
    price: int


class Named(NamedTuple):
    """A word in both languages."""

    en: str
    zh: str


class Colour(NamedTuple):
    """A colour a thing is painted in (`paint`, hex) and its names."""

    en: str
    zh: str
    paint: str


_THINGS = {
    Named("shoes", "鞋靴"): """1F45F running shoes/跑鞋/399 1F460 high heels/高跟鞋/459 1F461 sandals/凉鞋/229
        1F462 ankle boots/短靴/529 1F97E hiking boots/登山靴/699 1F97F ballet flats/平底鞋/269
        1FA74 flip-flops/人字拖/59""",
    Named("clothing", "服装"): """1F455 T-shirt/T恤/99 1F457 dress/连衣裙/359 1F456 jeans/牛仔裤/259
        1F9E5 coat/大衣/799 1F45A blouse/衬衫/199 1FA73 shorts/短裤/119""",
    Named("bags", "箱包"): """1F45C handbag/手提包/599 1F45D clutch/手拿包/239 1F392 backpack/双肩包/289
        1F9F3 suitcase/行李箱/499 1F45B purse/零钱包/129""",
    Named("accessories", "配饰"): """1F9E3 scarf/围巾/149 1F9E4 gloves/手套/89 1F453 glasses/眼镜/329
        1F452 sun hat/遮阳帽/139 1F9E2 cap/棒球帽/99 2602 umbrella/雨伞/79 1F9E6 socks/袜子/29
        231A watch/手表/899 1F48D ring/戒指/1299""",
    Named("electronics", "数码"): """1F4F1 phone/手机/2999 1F4BB laptop/笔记本电脑/5499 1F3A7 headphones/耳机/599
        1F4F7 camera/相机/3299 1F3AE game controller/游戏手柄/349 1F4FB radio/收音机/189
        1F4FA television/电视/2599
        1F50B power bank/充电宝/129""",
    Named("home", "家居"): """1F6CB sofa/沙发/2399 1FA91 chair/椅子/329 1F6CF bed/床/1899 1FA9E mirror/镜子/199
        1F56F candle/香薰蜡烛/69 1FAB4 potted plant/盆栽/59 1F9FA basket/收纳篮/79
        23F0 alarm clock/闹钟/89""",
    Named("kitchen", "厨具"): """2615 mug/马克杯/49 1FAD6 teapot/茶壶/159 1F373 frying pan/平底锅/199
        1F963 bowl/碗/39 1F52A chef's knife/菜刀/129 1F372 stew pot/炖锅/269""",
    Named("baby", "母婴"): """1F37C baby bottle/奶瓶/79 1FA87 rattle/摇铃/39 1F6C1 baby bath/婴儿浴盆/119
        1F425 bath chick/洗澡小鸡/29 1F6B8 child car sign/儿童乘车贴/19 1F986 night light duck/小鸭夜灯/69""",
    Named("toys", "玩具"): """1F9F8 teddy bear/泰迪熊/129 1FA80 yo-yo/悠悠球/29 1F9E9 puzzle/拼图/69
        1FA81 kite/风筝/59 1F3B2 dice game/骰子游戏/39 1FA86 nesting dolls/套娃/99
        1F682 toy train/玩具火车/159""",
    Named("sports", "运动"): """26BD football/足球/119 1F3C0 basketball/篮球/129 1F3BE tennis ball/网球/49
        1F6B2 bicycle/自行车/1299 1F3BD sports vest/运动背心/89 1F94A boxing gloves/拳击手套/189
        26F8 ice skates/冰鞋/459 1F3D3 table tennis bat/乒乓球拍/99""",
    Named("beauty", "美妆"): """1F484 lipstick/口红/159 1F9F4 lotion/乳液/139 1F9FC soap/香皂/25
        1F380 hair bow/蝴蝶结发饰/19 1FAAE hair comb/发梳/29 1F9FD bath sponge/沐浴球/15""",
    Named("outdoor", "户外"): """26FA tent/帐篷/559 1F526 torch/手电筒/89 1F9ED compass/指南针/99
        1FAA3 camping bucket/露营水桶/49 1F6F6 canoe/皮划艇/1999""",
    Named("music", "乐器"): """1F3B8 guitar/吉他/899 1F941 drum/小鼓/459 1F3BB violin/小提琴/1199
        1F3BA trumpet/小号/1099 1FA97 accordion/手风琴/1399""",
    Named("stationery", "文具"): """1F4D5 hardcover notebook/精装笔记本/39 1F58A ballpoint pen/圆珠笔/9
        1F4C1 file folder/文件夹/15 1F4CF ruler/直尺/8 1F58D crayon/蜡笔/6 1F4D0 set square/三角板/9""",
}


# Things that are used up and bought again; of everything else one is enough for a season.
USED_UP = frozenset({"socks", "candle", "potted plant", "baby bottle", "tennis ball", "lipstick", "lotion", "soap",
                     "bath sponge", "hardcover notebook", "ballpoint pen", "file folder", "crayon"})  # fmt: skip


def _parse(block: str) -> tuple[Thing, ...]:
    things: list[Thing] = []
    words: list[str] = []
    for word in block.split():
        words.append(word)
        if word.rsplit("/", 1)[-1].isdigit() and word.count("/") == 2:
            last, zh, price = word.split("/")
            things.append(Thing(words[0], " ".join([*words[1:-1], last]), zh, int(price)))
            words = []
    return tuple(things)


CATEGORIES: tuple[Named, ...] = tuple(_THINGS)
THINGS: tuple[tuple[Thing, ...], ...] = tuple(_parse(block) for block in _THINGS.values())
BABY = next(i for i, category in enumerate(CATEGORIES) if category.en == "baby")
TOYS = next(i for i, category in enumerate(CATEGORIES) if category.en == "toys")

COLOURS = (
    Colour("red", "红色", "#D22F27"),
    Colour("orange", "橙色", "#F08A24"),
    Colour("yellow", "黄色", "#F6D32D"),
    Colour("green", "绿色", "#5C9E31"),
    Colour("teal", "青色", "#2AA6A0"),
    Colour("blue", "蓝色", "#3B82D6"),
    Colour("navy", "藏青色", "#27408B"),
    Colour("purple", "紫色", "#8967AA"),
    Colour("pink", "粉色", "#F29BB7"),
    Colour("brown", "棕色", "#8A5A33"),
    Colour("black", "黑色", "#3A3A3D"),
    Colour("white", "白色", "#F4F2EC"),
)

STYLES = (
    Named("minimal", "简约"),
    Named("sporty", "运动风"),
    Named("vintage", "复古"),
    Named("cute", "可爱"),
    Named("street", "街头"),
    Named("elegant", "优雅"),
)

BRANDS = (
    Named("Lumora", "路默"),
    Named("Northpine", "北松"),
    Named("Tanghe", "棠禾"),
    Named("Bluebird", "青鸟"),
    Named("Kivi", "奇维"),
    Named("Mosso", "慕索"),
    Named("Yunlai", "云徕"),
    Named("Arcadia", "雅卡"),
    Named("Pebble", "小卵石"),
    Named("Zefiro", "泽风"),
    Named("Hanami", "花见"),
    Named("Orbita", "奥比"),
    Named("Duckling", "小丫鸭"),
    Named("Fernweh", "远途"),
)

# Brands do not sell everything: each category has these many of them, drawn by the catalogue.
BRANDS_PER_CATEGORY = 5

ASPECTS = ("quality", "price", "size", "delivery", "service", "packaging")
EDITIONS = (
    Named("everyday", "日常款"), Named("gift box", "礼盒装"), Named("limited edition", "限量版"),
    Named("lightweight", "轻量款"), Named("new season", "当季新品"), Named("recycled", "环保款"),
    Named("classic", "经典款"),
)  # fmt: skip
