"""Pages of every form, written for the tests, and a way to read a text as if it were a file."""

import pytest

from bakeoff import digests

ONE = ("Small networks forget what they have learnt when the task changes under them. We keep a handful of old examples per class, "
       "chosen so that their mean stays close to the mean of all that was seen, and train on them beside the new ones. Accuracy on the "
       "first task falls by two points after ten further tasks, where plain training loses forty.")
TWO = ("Picking a step size by hand costs more runs than training itself. We let a second optimiser, fed with nothing but the inner "
       "product of two successive gradients, move the step size while the first one trains. On six problems the result is as good as the "
       "best of thirty fixed step sizes, and it costs one run. Code is at https://example.org/steps.")
THREE = ("Molecules are drawn as graphs, yet chemists speak of them in names. Our reader turns systematic names into graphs by a grammar "
         "of forty rules whose weights are learnt from pairs; it reads names longer than any it was trained on, and says so when a name "
         "is ambiguous instead of guessing at one of its meanings.")

HOT = f"""---
title: Hot Papers 2024-02-30
slug: "hot-papers-2024-02-30"
---

# 1. Rehearsal with a Handful:  Means   that Stay

Ana Lucía Núñez, 山田 太郎, Олег Иванов, John Smith, Jr.

- retweets: 7,316, favorites: 358 (03/01/2024 10:09:49)

- links: [abs](https://arxiv.org/abs/2402.12375v2) | [pdf](https://arxiv.org/pdf/2402.12375v2)
- [physics.chem-ph](https://arxiv.org/list/physics.chem-ph/recent) | [cs.AI](https://arxiv.org/list/cs.AI/recent)

{ONE}

<blockquote class="twitter-tweet"><p lang="en">Look # 2. at this</p>&mdash; A (@a) <a href="https://twitter.com/a/1">May 1</a></blockquote>
<script async src="https://platform.twitter.com/widgets.js" charset="utf-8"></script>

<blockquote class="twitter-tweet"><p lang="en">and this</p></blockquote>
<script async src="https://platform.twitter.com/widgets.js" charset="utf-8"></script>




# 2. $\\mathcal{{N}}=4$ [Extended] Steps (of $\\sqrt{{n}}$) without Tuning

Bo Li

- retweets: 30, favorites: 35 (03/01/2024 10:09:51)

- links: [abs](https://arxiv.org/abs/math/0309136) | [pdf](https://arxiv.org/pdf/math/0309136)
- [cs.LG](https://arxiv.org/list/cs.LG/recent)

{TWO}




# 3. No Abstract Here

Mary O'Neil, Tim RocktÃ¤schel

- retweets: 1, favorites: 0 (03/01/2024 10:09:52)

- links: [abs](https://arxiv.org/abs/2402.00003) | [pdf](https://arxiv.org/pdf/2402.00003)
- [cs.LG](https://arxiv.org/list/cs.LG/recent)

<blockquote class="twitter-tweet"><p lang="en">Donâ€™t ðŸ”¥</p></blockquote>
<script async src="https://platform.twitter.com/widgets.js" charset="utf-8"></script>


"""
FACE = f"""new

Get trending papers in your email inbox!

Subscribe

byAK and the research community

Jun 3

Rehearsal with a Handful: Means that Stay

{ONE}

Steps without Tuning?

{TWO} See //i676974687562o636f6dz.oszar.com/steps and https://i676974687562o636f6dz.oszar.com/a/b .

LLMs read names

{THREE}

OSZAR »"""
SCIENCE = f"""[link]
{ONE} https://i.imgur.com/BBfWE17.png It shows $\\theta^* = \\max_{{a}} Q(s, a)$. 
[link]
### Points  {TWO}
1 Comments

[link]
{THREE} ![](https://i.imgur.com/hif9ZL9.png)
"""
BANNER = f"""![]() |
Welcome to ShortScience.org! |
![]() ![]() ![]() |
[link]
{ONE} ![]() |
[link]
[Full credit to others] {TWO} and more without an end ![]() |"""
BARE = f"{ONE}\n{TWO}\n{THREE}"


@pytest.fixture(scope="session")
def pages():
    return {"hot_papers": HOT, "hugging_face": FACE, "short_science": SCIENCE, "banner": BANNER, "abstracts": BARE}


@pytest.fixture(scope="session")
def abstracts():
    return ONE, TWO, THREE


@pytest.fixture(scope="session")
def read_text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digests")

    def read(text, name="digest.txt"):
        file = folder / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return digests.read(file)

    return read
