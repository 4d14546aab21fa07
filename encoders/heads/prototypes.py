"""What each aspect is called and how it is praised and blamed, in Chinese and English; and phrases made of that.

Written for these heads from how people speak of goods. `names` find an aspect in a clause by themselves; `good` and
`bad` are said of it, and some of them name it without a noun ("too tight").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Wording:
    """One aspect in one language."""

    names: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    telling: tuple[str, ...]


def _wording(*lists: str) -> Wording:
    """From four lists with commas."""
    return Wording(*(tuple(word.strip() for word in words.split(",")) for words in lists))


ASPECTS = ("quality", "price", "size", "delivery", "service", "packaging", "appearance")
CHINESE = {
    "quality": _wording(
        "质量, 品质, 做工, 材质, 面料, 布料, 用料, 材料, 工艺, 手感",
        "很好, 不错, 扎实, 结实, 过硬, 精细, 没得说, 舒服",
        "很差, 粗糙, 太次, 不行, 堪忧, 廉价, 一般般, 让人失望",
        "耐用, 结实, 牢固, 掉色, 褪色, 起球, 线头, 开线, 开胶, 瑕疵, 故障, 坏了, 次品, 假货, 用不了, 散架",
    ),
    "price": _wording(
        "价格, 价钱, 性价比, 价位, 售价",
        "实惠, 便宜, 划算, 合理, 很高, 公道, 美丽",
        "太贵, 偏高, 虚高, 离谱, 不划算, 不值, 太低了",
        "便宜, 太贵, 很贵, 有点贵, 昂贵, 划算, 实惠, 超值, 物美价廉, 物有所值, 不值, 值得这个价, 降价, 优惠, 坑钱",
    ),
    "size": _wording(
        "尺码, 尺寸, 大小, 码数, 号码, 版型, 腰围",
        "合适, 正好, 标准, 刚好, 很准, 合身",
        "偏小, 偏大, 不准, 不合适, 不合身, 差太多",
        "偏大, 偏小, 太大了, 太小了, 太紧, 太松, 太长, 太短, 合身, 不合身, 穿不下, 穿不上, 大一号, 小一号, 宽松",
    ),
    "delivery": _wording(
        "物流, 快递, 发货, 送货, 配送, 运输, 到货, 快递员",
        "很快, 神速, 及时, 迅速, 给力, 第二天就到",
        "太慢, 很慢, 拖了很久, 迟迟不到, 延误, 等了半个月",
        "送到, 收货, 次日达, 当天就到, 还没到, 几天才到",
    ),
    "service": _wording(
        "服务, 客服, 售后, 态度, 卖家, 店家, 商家, 店员, 服务员",
        "很好, 热情, 耐心, 周到, 负责, 专业, 贴心",
        "很差, 恶劣, 冷淡, 不理人, 推卸责任, 敷衍, 不耐烦",
        "退货, 退款, 换货, 投诉, 没人回复, 回复, 不给退",
    ),
    "packaging": _wording(
        "包装, 盒子, 箱子, 纸箱, 外盒, 包裹, 包装盒",
        "完好, 严实, 精美, 用心, 结实, 仔细",
        "破损, 破了, 压坏了, 太简陋, 太随便, 变形了, 很差",
        "包得, 压扁, 泡沫, 气泡膜, 漏了, 礼盒",
    ),
    "appearance": _wording(
        "外观, 颜色, 款式, 样式, 设计, 外形, 颜值, 花色, 造型",
        "好看, 漂亮, 时尚, 大方, 很正, 喜欢, 很高",
        "难看, 很丑, 老气, 土气, 不好看, 暗淡, 有色差",
        "好看, 漂亮, 美观, 难看, 丑, 色差, 和图片一样, 图片不符, 百搭, 显瘦, 显老",
    ),
}
ENGLISH = {
    "quality": _wording(
        "quality, material, fabric, workmanship, build, stitching, craftsmanship, construction",
        "great, excellent, solid, top notch, very good, superb",
        "poor, terrible, awful, disappointing, low, cheap",
        "well made, sturdy, durable, broke, broken, fell apart, falling apart, flimsy, defective, poorly made, "
        "faulty, stopped working, ripped, faded, shrank, lasts",
    ),
    "price": _wording(
        "price, cost, value, pricing",
        "great, reasonable, fair, unbeatable, very good, low",
        "too high, outrageous, ridiculous, steep, not justified, bad",
        "expensive, overpriced, pricey, affordable, inexpensive, bargain, worth, money, rip off, good deal, great "
        "deal, costs",
    ),
    "size": _wording(
        "size, sizing, fit, length, dimensions",
        "perfect, just right, true to size, great, accurate, as expected",
        "wrong, way off, too small, too big, terrible, inaccurate",
        "fits, too small, too big, too large, too tight, too loose, too long, too short, runs small, runs large, "
        "didn't fit, doesn't fit",
    ),
    "delivery": _wording(
        "delivery, shipping, shipment, courier, dispatch",
        "fast, quick, prompt, on time, super fast, speedy",
        "slow, late, delayed, took forever, weeks late, a nightmare",
        "arrived, shipped, delivered, came quickly, came early, came late, never came, took weeks, next day",
    ),
    "service": _wording(
        "service, customer service, support, staff, seller, customer support, vendor",
        "helpful, friendly, excellent, polite, responsive, very kind",
        "rude, unhelpful, terrible, useless, ignored me, unresponsive",
        "refund, refused to, replied, no reply, no response, exchange, return policy, returned it",
    ),
    "packaging": _wording(
        "packaging, package, box, wrapping, carton",
        "neat, secure, beautiful, intact, careful, nice",
        "damaged, crushed, torn, dented, flimsy, sloppy",
        "packed, packaged, wrapped, bubble wrap, gift box, leaked",
    ),
    "appearance": _wording(
        "color, colour, design, style, look, appearance, pattern",
        "beautiful, gorgeous, lovely, stylish, elegant, very pretty",
        "ugly, dull, hideous, nothing like the picture, tacky, outdated",
        "looks, pretty, beautiful, ugly, stylish, cute, tacky, like the picture, like the photo, colors, colours, "
        "flattering",
    ),
}

# Each turns what was said of something into its opposite.
_CHINESE_NOT, _ENGLISH_NOT = ("不算", "并不", "一点也不", "没有那么"), ("not", "not at all", "hardly", "far from being")


@dataclass(frozen=True)
class Phrase:
    """A made-up clause: of which aspect, and whether it praises (1) or blames (0)."""

    text: str
    aspect: str
    label: int


def phrases() -> list[Phrase]:
    """Every name with everything said of it, plainly and in its negation, in both languages."""
    found = []
    for aspect in ASPECTS:
        chinese, english = CHINESE[aspect], ENGLISH[aspect]
        for label, said in ((1, "good"), (0, "bad")):
            for name in chinese.names:
                for number, word in enumerate(getattr(chinese, said)):
                    turned = _CHINESE_NOT[number % len(_CHINESE_NOT)]
                    found += [Phrase(name + word, aspect, label), Phrase(name + "真的" + word, aspect, label)]
                    if len(word) == 2 and not word.startswith(("不", "太", "很")):
                        found.append(Phrase(name + turned + word, aspect, 1 - label))
            for name in english.names:
                for number, word in enumerate(getattr(english, said)):
                    turned = _ENGLISH_NOT[number % len(_ENGLISH_NOT)]
                    found += [Phrase(f"the {name} is {word}", aspect, label), Phrase(f"{word} {name}", aspect, label)]
                    if not word.startswith("not"):
                        found.append(Phrase(f"the {name} is {turned} {word}", aspect, 1 - label))
    return found


@cache
def cues() -> dict[str, re.Pattern[str]]:
    """By aspect, what finds it in a clause: its names and telling words; English ones as whole words."""
    found = {}
    for aspect in ASPECTS:
        chinese = [*CHINESE[aspect].names, *CHINESE[aspect].telling]
        english = [*ENGLISH[aspect].names, *ENGLISH[aspect].telling]
        whole_words = "|".join(re.escape(word) for word in sorted(english, key=len, reverse=True))
        found[aspect] = re.compile("|".join(map(re.escape, chinese)) + rf"|\b(?:{whole_words})\b", re.IGNORECASE)
    return found


def named(clause: str) -> frozenset[str]:
    """The aspects whose cues stand in a clause."""
    return frozenset(aspect for aspect, pattern in cues().items() if pattern.search(clause))
