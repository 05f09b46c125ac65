"""Words for quantities; what is not in `schema.QUANTITIES` stands for several or one nearby."""

QUANTITY_WORDS: tuple[tuple[str, str], ...] = (
    ("intervals",
        r"(?:all )?(?:cardiac |ecg |conduction |the )?intervals(?= (?:are|is|were|within|"
        r"all|normal|:)|:|,? (?:and|with|$))|(?<=normal )intervals|(?<=nl )intervals|"
        r"(?<=axis and )intervals"),
    ("atrial_bpm", r"(?:atrial|p[- ]wave|flutter|f[- ]wave)[- ]rate"),
    ("hr_bpm",
        r"\brvr\b|(?:heart|ventricular|pulse|cardiac|mean|average|"
        r"overall)?[- ]?(?:(?<![a-z])rate|(?<![a-z])hr\b|frequency)|ventricular response|"
        r"(?<!sinus )(?<!ventricular )(?<!atrial )(?<!nodal )(?<!junctional )(?<!entrant )(?"
        r"<!reentry )\b(?:brady|"
        r"tachy)cardi[ac]c?"),
    ("p-r-t axes", r"p ?[-/] ?(?:r|qrs) ?[-/] ?t(?:[- ]wave)? ax[ei]s"),
    ("pr/qrs/qt", r"p[rq] ?/ ?qrs ?/ ?qt(?: ?/ ?qtc)?(?:[- ]intervals?)?"),
    ("duration", r"duration(?= (?:of|is|was|\d)|:|=)"),
    ("amplitude", r"(?:amplitude|height|voltage)(?= (?:of|is|was|\d)|:|=)"),
    ("p_axis_deg", r"p(?:[- ]wave)?[- ]axis"),
    ("t_axis_deg", r"t(?:[- ]wave)?[- ]axis"),
    ("axis_deg",
        r"(?:normal |mean |electrical |frontal(?:[- ]plane)? |cardiac |heart )*(?:qrs[- ]|"
        r"heart )?axis"),
    ("qt/qtc", r"qt ?/ ?qtc(?:[- ]?(?:[bf]\b|bazett?|fridericia))?(?:[- ]intervals?)?"),
    ("qtc_ms",
        r"qtc(?:[- ]?(?:f|b|fridericia|bazett)\b)?(?:[- ]intervals?)?|"
        r"corrected qt(?:[- ]intervals?)?|qt ?\(?corrected\)?(?: interval)?|qt[ -]c\b|"
        r"qt(?:[- ]interval)?,? corrected for (?:the )?(?:heart )?rate"),
    ("qt_ms", r"(?:uncorrected )?qt(?:[- ](?:intervals?|time))?(?![a-z])"),
    ("pr_ms",
        r"p-?[rq](?:[- ](?:intervals?|time|duration))(?![a-z])|\bp-?[rq]\b(?![- ](?:segment|"
        r"depr|level))"),
    ("p_ms", r"p(?:[- ]wave)?[- ](?:duration|width)"),
    ("qrs_ms",
        r"qrs(?:d\b|(?:[- ](?:duration|width|interval|complex(?:es)?|"
        r"d\b))*)(?![a-z])(?![- ](?:axis|"
        r"voltage|amplitude|notch|frag))|complexes(?= (?:are|is) (?:narrow|wide|broad))|"
        r"(?:narrow|wide|broad)[- ](?:qrs[- ])?complex(?=(?: \w+)? (?:tachy|brady|rhythm|"
        r"escape))"),
    ("rr_ms", r"r-?r(?:[- ](?:intervals?|distance|cycle))?(?![a-z'])|cycle length"),
    ("sokolow_mv",
        r"sokolow(?:[- ]lyon)?(?:[- ](?:index|voltage|criteri\w+|sum))*|"
        r"s ?\(?(?:in )?v1\)? ?(?:\+|plus|and) ?r ?\(?(?:in )?v[56](?:(?: or |/)v?[56])?\)?|"
        r"sv1 ?\+ ?rv[56]|rv[56] ?\+ ?sv1|r ?\(?(?:in )?v[56]\)? ?(?:\+|plus|"
        r"and) ?s ?\(?(?:in )?v1\)?|(?:^|(?<=[, ]))(?:together|"
        r"sum(?: of)?(?: both)?)(?= [<>=]? ?\d)"),
    ("cornell_mv",
        r"cornell(?:[- ](?:voltage|index|criteri\w+|product))*|r ?\(?(?:in )?avl\)? ?(?:\+|"
        r"plus|and) ?s ?\(?(?:in )?v3\)?|"
        r"s ?\(?(?:in )?v3\)? ?(?:\+|plus|and) ?r ?\(?(?:in )?avl\)?|sv3 ?\+ ?ravl|"
        r"ravl ?\+ ?sv3"),
    ("st_mv", r"st(?:[- ]segment)?[- ](?:level|deviation|amplitude)"),
    ("qrs_mv", r"qrs[- ](?:voltages?|amplitudes?)"),
)  # fmt: skip
# A wave by its letter: the height of what `lexicon` names after it.
WAVE_WORDS = (
    r"[pqrstu](?<![\w/].)(?:[- ]waves?)?(?:[- ](?:voltages?|amplitudes?|heights?|"
    r"depths?))?(?=[ :=(]|$|v[1-6]|av[rlf])"
)
