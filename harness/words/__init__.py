"""Words for people: names of quantities and elements, sentences of findings, templates."""
