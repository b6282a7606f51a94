"""For each of IFEval's instructions: its arguments, answers that follow it to the letter, and answers that do not."""

from typing import Any

ENGLISH = "the river is quiet in the morning and nobody is walking along the path yet."

EXAMPLES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "keywords:existence",
        {"keywords": ["river", "Path"]},
        ["A river and a path.", "RIVERBANK, footpaths"],
        ["A river.", "A path along the ri ver."],
    ),
    (
        "keywords:frequency",
        {"keyword": "war ", "frequency": 2, "relation": "at least"},
        ["War and war.", "Warsaw and towards"],
        ["War.", "wa r war", "Peace."],
    ),
    (
        "keywords:frequency",
        {"keyword": "war", "frequency": 2, "relation": "less than"},
        ["War.", "Peace."],
        ["War and war.", "warwar", "WAR Warsaw reward"],
    ),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ["man", "no"]},
        ["The woman knows many.", "None."],
        ["A MAN.", "Yes or no?", "wo-man"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "Q", "let_frequency": 3, "let_relation": "at least"},
        ["qqq", "Quick quiet Quay", "q.q.q.q"],
        ["qq", "Quick quiet", "ggg"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "q", "let_frequency": 3, "let_relation": "less than"},
        ["qQ", "none"],
        ["qqq", "QqQq"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 4, "let_relation": "at least"},
        ["####", "# a # b # c # d"],
        ["###", "Some letters, and again some letters."],
    ),
    (
        "language:response_language",
        {"language": "de"},
        ["Das Haus steht am Fluss, und im Garten wachsen Äpfel und Birnen.", "12 34"],
        ["The house stands by the river.", "La maison est au bord de la rivière, et il fait beau."],
    ),
    (
        "language:response_language",
        {"language": "hi"},
        ["यह घर नदी के किनारे है और बगीचे में पेड़ हैं।", "मुझे सुबह की चाय पसंद है।"],
        ["The house stands by the river.", "এই বাড়িটি নদীর ধারে অবস্থিত।"],
    ),
    (
        "language:response_language",
        {"language": "sw"},
        ["Nyumba iko karibu na mto na watoto wanacheza kwenye bustani.", "Ninapenda kunywa chai kila siku asubuhi."],
        ["The house stands by the river.", "Das Haus steht am Fluss, und im Garten wachsen Äpfel."],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "at least"},
        [
            "One. Two! Three?",
            "Mr. Hill came. He sat. He left at 5 p.m. sharp.",
            'He said "Yes." She said "No." All left.',
        ],
        ["One. Two.", "Dr. J. Smith of the U.S. met Mr. Hill.", "one, two; three: 3.5.1", "One.\nTwo\n\nthree"],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        ["One. Two.", "Well!! ", "Wait... it is Prof. Hill."],
        ["One. Two! Three?", "One?! Two?! Three?! Four", "One. **Two.**"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 5, "relation": "at least"},
        ["one two three four five", "it's a well-known", "a_b c 1 2 3"],
        ["one two three four", "a_b-c d!", "* * * * *"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 5, "relation": "less than"},
        ["one two three four", "--- *** ..."],
        ["one two three four five", "it's a well-known"],
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["one\n***\ntwo", "*** one *** two ***", "one***two"],
        ["one\n\ntwo", "one *** *** two", "one *** two *** three", "one"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "Elm"},
        ["one\n\nElm trees\n\nthree", 'one\n\n"elm" trees\n\nthree', "one\n\nELM, oak\n\nthree\n\n"],
        ["one\n\nElmtrees\n\nthree", "one\n\nelm", "elm\n\none\n\ntwo", "\n\none\n\nelm\n\nthree", "one\nelm\nthree"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "elm"},
        ["Elm", "elm\n\n"],
        ["\n\nelm", "'\"", "oak"],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[name] of [street]", "[a][b][c]", "[[a] [b]", "[] []"],
        ["[name]", "[a\n] [b\n]", "name] [street", "[[a]]"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.S."},
        ["Bye.\n\nP.S. Thanks", "p. s. more", "Bye, P.S.: yes"],
        ["Bye.\n\nPS Thanks", "P.S more", "P .S."],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S"},
        ["Bye.\nP.P.S more", "p. p. s", "P.P.S."],
        ["Bye.\nP.S. more", "PPS more", "P.P. more"],
    ),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* one\n* two", "- one\n - two", "So:\n\n* one\n\n- two\n", "*one*\n\n---", "*\none\n* two"],
        ["* one", "* one\n* two\n* three", "** one\n** two", "+ one\n+ two", "1. one\n2. two", "*\n* one"],
    ),
    (
        "detectable_format:constrained_response",
        {},
        ["My answer is no.", "I think: My answer is maybe. Is it?"],
        ["My answer is no", "my answer is yes.", "Yes."],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*one* and *two*", "**one** and *two*", "*one* * two*"],
        ["*one*", "**one**", "* * * *", "* one\n* two", "** ** **", "****", "_one_ _two_"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": " SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb", "SECTION1 SECTION 1", "SECTION 1 SECTION 2 SECTION 3"],
        ["SECTION 1", "Section 1\na\nSection 2\nb", "SECTION A\nSECTION B", "SECTION  1 SECTION  2"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": [1, null]}', '```json\n{"a": 1}\n```', "```\n[]```", " 12 ", '"text"'],
        ["{'a': 1}", 'So: {"a": 1}', "```python\n[]\n```", '{"a": 1}\n{"b": 2}', "[" * 9999],
    ),
    (
        "detectable_format:title",
        {},
        ["<<A title>>\nText", "Text <<<so>>>", "<<a>> and <<b>>"],
        ["<A title>", "<<>>", "<< >>", "<<a\nb>>", ">>a<<", "<<< >>>"],
    ),
    (
        "combination:two_responses",
        {},
        ["one\n******\ntwo", "******one******two******", "one ********two"],
        [
            "one",
            "one******one",
            "one******two******three",
            "one ****** ****** two",
            "one ***** two",
            "one\n******\n one",
        ],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Name a river. "},
        ["Name a river.\nThe Elbe.", "  NAME A RIVER. The Elbe."],
        ["Sure! Name a river.\nThe Elbe.", "Name  a river. The Elbe.", '"Name a river." The Elbe.'],
    ),
    (
        "startend:end_checker",
        {"end_phrase": "Peace!"},
        ["So long. Peace!", 'So long. "peace!"', "PEACE!\n"],
        ["Peace! So long.", "So long. Peace", "So long. *Peace!*", 'So long. "Peace! "'],
    ),
    (
        "startend:quotation",
        {},
        ['"one"', ' "one" and "two"\n', '""'],
        ['"', "'one'", "“one”", '"one".', 'He said "one"'],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["A B", "I'm sure. I am.", "DON'T", "NASA,ESA", "CANNOT", "**BIG** (BAD)", "IT'S."],
        ["A", "Nasa Esa", "A-B", "NASA/ESA", "A1", "IT's", "1 2 3"],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "less than"},
        ["A", "None", "NASA—ESA"],
        ["A B", "NASA ESA EU", "HE'LL"],
    ),
    (
        "change_case:english_capital",
        {},
        [
            ENGLISH.upper(),
            "THE ANSWER IS THAT THE HOUSE WAS SOLD AND THE OWNER WENT AWAY WITH ALL OF HIS THINGS. 1, 2!",
        ],
        [ENGLISH, ENGLISH.upper() + " so", "DAS HAUS STEHT AM FLUSS UND IM GARTEN WACHSEN ÄPFEL UND BIRNEN.", "12 34"],
    ),
    (
        "change_case:english_lowercase",
        {},
        [ENGLISH, "it is 5 o'clock, and the train has left without us!"],
        [ENGLISH.capitalize(), ENGLISH.upper(), "das haus steht am fluss, und im garten wachsen äpfel.", "12 34"],
    ),
    (
        "punctuation:no_comma",
        {},
        ["One and two.", "One; two、three，four"],
        ["One, two.", "1,000"],
    ),
]
