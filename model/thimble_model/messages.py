"""Generate random messages to a shop from our own parts: the corpus of a worked example."""

from __future__ import annotations

import random

GREETINGS = ("", "", "Hello,", "Hi there!", "Good morning,", "Dear team,", "hey")
ENDINGS = (
    "",
    "",
    "Thanks!",
    "Thank you.",
    "Please help :(",
    "Best regards, {name}",
    "Looking forward to your answer.",
)
NAMES = ("Zoë", "José", "Jürgen", "Łucja", "Ana", "Olu", "Mei", "Søren")
THINGS = (
    "lamp",
    "kettle",
    "jacket",
    "pair of boots",
    "teapot",
    "blanket",
    "keyboard",
    "bicycle helmet",
    "rucksack",
)
TOPICS: dict[str, tuple[str, ...]] = {
    "delivery": (
        "my parcel with the {thing} has not arrived yet",
        "where is my order {order}? the tracking page shows nothing",
        "the courier left the {thing} at a neighbour's who knows nothing of it",
        "can you ship the {thing} to another address?",
        "order {order} was to come on Monday, and it's still on its way",
        "how long does delivery take to Malmö?",
    ),
    "payment": (
        "I was charged twice for order {order}",
        "my card was declined when I paid for the {thing}",
        "could you send me an invoice for order {order}?",
        "the voucher code does not work at the checkout",
        "why is the amount on my bank statement higher than the price of the {thing}?",
        "can I pay for the {thing} in instalments?",
    ),
    "return": (
        "I'd like to send the {thing} back, it doesn't fit",
        "the {thing} broke after two days, and I want my money back",
        "how do I get a return label for order {order}?",
        "you sent me a {thing} of the wrong colour, please exchange it",
        "the {thing} is damaged, the box was torn open",
        "when will I get the refund for the {thing} that I returned?",
    ),
    "praise": (
        "just wanted to say that the {thing} is wonderful",
        "great service, the {thing} came a day early",
        "I love the new {thing}, five stars",
        "you have the friendliest support that I know",
        "the {thing} is even nicer than in the picture",
        "best shop ever, I'll be back",
    ),
}
BESIDE = (
    "I'm in a hurry.",
    "It's for my mother's birthday.",
    "I am a customer of many years.",
    "See my photo.",
)


def messages(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Return n texts and their topics."""
    rng = random.Random(seed)
    topics = [rng.choice(list(TOPICS)) for _ in range(n)]
    return [_message(rng, topic) for topic in topics], topics


def _message(rng: random.Random, topic: str) -> str:
    parts = [rng.choice(GREETINGS), rng.choice(TOPICS[topic]) + rng.choice(".!")]
    if rng.random() < 0.3:
        parts.append(rng.choice(BESIDE))
    if rng.random() < 0.3:
        parts.append(rng.choice(TOPICS[topic]) + ".")
    parts.append(rng.choice(ENDINGS))
    text = " ".join(filter(None, parts))
    return text.format(thing=rng.choice(THINGS), order=rng.randint(10_000, 99_999), name=rng.choice(NAMES))
