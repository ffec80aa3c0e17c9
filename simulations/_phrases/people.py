# SPDX-License-Identifier: Apache-2.0
"""Names of many cultures, and names that nobody bears: a recognizer that knows lists must not find them all.

About a quarter of all name parts are invented, by a two-letter Markov chain over the lists or by joining two halves.
"""

from __future__ import annotations

from functools import cache

from privacy.text.invent.rng import Rng
from simulations._phrases.condition import listed


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FEMALE = _words(
    """
    Aaliyah Abena Adaeze Agnieszka Aigerim Aiko Ailbhe Amahle Amina Anahit Ananya Anneliese Aoife Araceli Asel
    Astrid Aysel Ayşe Beatriz Bronwen Camila Chiamaka Chloé Ciara Danuta Daryna Deepika Dilnoza Dorothea Edith
    Eilidh Ekaterina Eleni Elif Eszter Eun-ji Farida Fatoumata Folasade Francesca Freya Gabriela Ghazal Giulia
    Grace Gudrun Gulnara Halima Hanneke Hatice Hiba Hoa Ifeoma Ilse Imani Ingrid Ioana Isabella Itzel Jadwiga
    Jasmine Jelena Joyce Kahurangi Kalinda Katarzyna Keiko Khadija Kiara Kirsten Lakshmi Lan Latifa Leilani
    Lerato Ligia Liv Lourdes Lucía Maarit Magdalena Mairéad Malika Marama Margaret Marisol Meera Mei-ling Milica
    Minh-Anh Mireille Mwende Nadia Naledi Natsuki Nenita Ngozi Nilufar Niamh Nokuthula Noor Odalys Oksana Paloma
    Parisa Perpetua Phuong Priya Rachel Ragnhild Rania Rosalind Roxana Sade Saanvi Saoirse Shanice Shirin
    Siobhán Solveig Soo-jin Svetlana Tamar Thandiwe Tuyet Ulrike Valentina Wanjiku Wilhelmina Xiomara Xiulan Yaa
    Yasmin Yevheniia Yolanda Zainab Zeynep Zsófia
    """
)
MALE = _words(
    """
    Abdoulaye Adebayo Aleksander Alejandro Alisher Amadou Anselm Arash Arjun Arnfinn Asif Azamat Babajide
    Baptiste Bartosz Bayani Beñat Bilal Bohdan Branimir Caetano Cathal Chidi Chukwuemeka Cillian Constantin
    Cuauhtémoc Dagfinn Daniel Davit Desmond Dhruv Dmytro Duc Eamon Ebenezer Efraín Eko Emeka Enrique Ermias
    Faisal Farrukh Ferran Fionn Florin Gaspard Gebre George Gintaras Giorgi Goran Gunther Hamza Haruto Hemi
    Henrik Hiroshi Ibrahim Ignacio Iker Imre Ivo Jabari Jacek Jamal Javier Jeong-ho Joaquim Jomo Kaito Kareem
    Kasimir Keanu Khalid Kofi Kwabena Lajos Lars Lwazi Luca Mahmoud Manuel Marek Mateus Matthew Mbeki Mehmet
    Mihai Mohammed Murat Nana Naveen Nikhil Nikolaos Obinna Olamide Olivier Omar Oskar Pádraig Pankaj Pavel
    Pieter Quang Rafael Rahul Ravi Reza Robert Ruslan Sanjay Santiago Sefa Segun Seung-min Sione Sipho Stellan
    Suleiman Tadeo Tae-yang Takumi Tane Tariq Tevita Thabo Thomas Tiago Tomasz Tuan Uchenna Umar Vasco Viliami
    Vikram Volkan Wei Wen-hao Xolani Yaw Yerlan Yohannes Yusuf Zhiwei Zoltán
    """
)
SURNAMES = listed(
    """
    Abdi; Abernathy; Achterberg; Adeyemi; Agyemang; Ahmadzai; Akhmetova; Al-Sayed; Almeida; Amundsen;
    Andriamahefa; Arslan; Asante; Avetisyan; Baptiste; Barzani; Batbayar; Beaumont; Begum; Ben-Ari; Bhattacharya;
    Bjørnstad; Boateng; Bogdanov; Brânză; Bui; Byrne; Cabrera; Carrasco; Castellanos; Chakraborty; Chaudhry;
    Cheung; Chinwe; Choi; Cruz; Cunningham; Czajka; D'Angelo; Dang; Das; de Groot; de la Fuente; Delacroix; Demir;
    Diallo; Dimitrova; dos Santos; Doyle; Dube; Dvořák; Echeverría; Edwards; Eriksen; Espinoza; Etxeberria; Farah;
    Fernando; Figueroa; Fitzgerald; Fofanah; Gallagher; Gebremariam; Georgiou; Ghorbani; Goldberg; Gonçalves;
    Gordon; Grünwald; Gunawardena; Gutiérrez; Haddad; Hakimi; Halloran; Hashimoto; Hernández; Hoang; Horvat;
    Hosseini; Huang; Ibekwe; Ilunga; Inoue; Iyer; Jabbour; Jankowski; Jayawardena; Jimenez; Johansson; Jung;
    Kagame; Kaleo; Kamau; Kang; Kapoor; Karimov; Katz; Kaya; Khumalo; Kipchoge; Kiss; Kobayashi; Kovačević;
    Kowalczyk; Kruger; Kuznetsova; Lafleur; Lam; Lindqvist; Lopes; Lungu; Mac Giolla; Mahlangu; Makarewicz;
    Malhotra; Mamani; Marchetti; Mbatha; McAllister; Medvedenko; Mehta; Mendoza; Mensah; Meyer; Mkhize; Moreau;
    Morimoto; Moyo; Mutasa; Nakagawa; Nair; Naidoo; Ncube; Ndlovu; Nguyen; Nikolaidis; Nkosi; Novotná; Nyong'o;
    O'Keeffe; Obi; Ochieng; Okafor; Okonkwo; Oliveira; Onyango; Orozco; Osei; Özdemir; Paek; Papadakis; Parata;
    Park; Patel; Pereira; Petrenko; Pham; Pillai; Popescu; Qureshi; Quispe; Radović; Rahimi; Rajapaksa; Ramírez;
    Rashid; Reyes; Richter; Rodríguez; Romero; Rossi; Roux; Rustamov; Sahin; Saleh; Samaras; Sandoval; Santangelo;
    Sato; Schmidt; Sengupta; Shapiro; Sharifi; Shevchenko; Silva; Singh; Smith; Sokolov; Stavrou; Steinhauer;
    Sundaram; Svensson; Szabó; Tahir; Tajik; Takahashi; Tan; Tapia; Tesfaye; Thapa; Thompson; Toth; Traoré;
    Tshabalala; Tsai; Tuiasosopo; Udo; Ueda; Umarov; Urquhart; Usman; Vaitkus; Valdés; van den Heuvel;
    van der Merwe; Vargas; Vasquez; Venter; Vidal; Vo; von Arnim; Wagner; Walsh; Wambui; Wang; Weerasinghe;
    Whitlock; Williams; Wójcik; Wolde; Xhaferi; Xu; Yamamoto; Yang; Yeboah; Yıldız; Zaman; Zelaya; Zhang; Zhou;
    Zielińska; Zulu; Zuma
    """
)
_FRONT = _words(
    """
    Thorn Ash Quill Marl Hollo Bryn Vesper Oster Calder Fenn Garro Hest Ilver Jarr Keld Lorim Morv Norr Pell
    Rasken Sel Tarv Ulm Wex
    """
)
_BACK = _words(
    """
    wick bury mere stead gard holt ander ovic escu sen dottir yan idze uru ola ekwe waite lund more quist ham
    ely azo
    """
)
_INVENTED = 0.25


@cache
def _follow(names: tuple[str, ...]) -> dict[str, str]:
    """Every letter (or the end, "$") that follows each pair of letters in `names`, as often as it does."""
    follow: dict[str, str] = {}
    for name in names:
        padded = f"^^{name.lower()}$"
        for at in range(len(padded) - 2):
            pair = padded[at : at + 2]
            follow[pair] = follow.get(pair, "") + padded[at + 2]
    return follow


@cache
def _plain(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name.isalpha())


def _markov(rng: Rng, names: tuple[str, ...]) -> str:
    follow = _follow(_plain(names))
    while True:
        word = "^^"
        while not word.endswith("$") and len(word) < 13:
            word += rng.choose(follow[word[-2:]])
        word = word.strip("^$")
        if 4 <= len(word) <= 10:
            return word.capitalize()


def given_name(rng: Rng, female: bool) -> str:
    """A first name, one in four of them invented."""
    names = FEMALE if female else MALE
    return _markov(rng, names) if rng.chance(_INVENTED) else rng.choose(names)


def surname(rng: Rng) -> str:
    """A surname: listed, double, invented by letters, or joined from two halves."""
    if rng.chance(_INVENTED):
        return rng.choose(_FRONT) + rng.choose(_BACK) if rng.chance(0.5) else _markov(rng, SURNAMES)
    name = rng.choose(SURNAMES)
    return f"{name}-{rng.choose(_plain(SURNAMES))}" if rng.chance(0.05) else name
