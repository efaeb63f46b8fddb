"""What test_fuzz.py makes its inputs from: bytes and JSON like those of a good file."""

import json

from hypothesis import strategies as st


def spoilt(content):
    """Bytes like `content`: some replaced, cut out or put in, or its end gone; and sometimes as they are."""
    at = st.one_of(st.integers(0, min(len(content), 64)), st.integers(0, len(content)))  # headers are short
    change = st.tuples(at, st.integers(0, 4), st.binary(max_size=4))

    def changed(changes, end):
        of = bytearray(content)
        for start, removed, added in changes:
            of[start : start + removed] = added
        return bytes(of[:end])

    return st.builds(changed, st.lists(change, max_size=3), st.one_of(*[st.none()] * 3, st.integers(0, len(content))))


JSON = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)), lambda inner:
                    st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
                    max_leaves=6)


def altered(value):
    """JSON like `value`, an object or a list: one of what is in it, at any depth, is gone or another."""
    def places(of, path=()):
        for key in range(len(of)) if isinstance(of, list) else of:
            yield (*path, key)
            if isinstance(of[key], (dict, list)):
                yield from places(of[key], (*path, key))

    def changed(path, put, gone):
        whole = of = json.loads(json.dumps(value))
        for key in path[:-1]:
            of = of[key]
        if gone:
            del of[path[-1]]
        else:
            of[path[-1]] = put
        return whole

    large = st.sampled_from([10**5, 10**9, 2**31, 2**63, -1, 0, 1e300, "", "..", [], {}])
    return st.builds(changed, st.sampled_from([*places(value)]), st.one_of(JSON, large), st.booleans())
