package subject

// pairNamed returns the member called name, nil if there is none.
func pairNamed(pairs []pair, name string) *pair {
	for k := range pairs {
		if pairs[k].name == name {
			return &pairs[k]
		}
	}
	return nil
}

// requiredText returns the string member called name.
func requiredText(pairs []pair, name string) (string, *Error) {
	p := pairNamed(pairs, name)
	if p == nil {
		return "", &Error{Member: name, Reason: "is missing"}
	}
	s, ok := text(p.value)
	if !ok {
		return "", &Error{Member: name, Reason: "must be a string"}
	}
	return s, nil
}

// requiredArray returns the elements of the array member called name, one to limit.
func requiredArray(pairs []pair, name string, limit int) ([][]byte, *Error) {
	p := pairNamed(pairs, name)
	if p == nil {
		return nil, &Error{Member: name, Reason: "is missing"}
	}
	values, ok := splitArray(p.value)
	switch {
	case !ok:
		return nil, &Error{Member: name, Reason: "must be an array"}
	case len(values) == 0:
		return nil, &Error{Member: name, Reason: "must not be empty"}
	case len(values) > limit:
		return nil, &Error{Member: name, Reason: "has too many elements"}
	}
	return values, nil
}

// rewrite returns the JSON text of translated members: "format" first, the
// others in the order they came in.
func rewrite(n *node, pairs []pair) []byte {
	dst := appendText([]byte(`{"format":`), n.format)
	for _, p := range pairs {
		if p.name != nameFormat {
			dst = append(appendText(append(dst, ','), p.name), ':')
			dst = append(dst, p.value...)
		}
	}
	return append(dst, '}')
}

// appendRawList writes the JSON texts of list as an array.
func appendRawList(dst []byte, list []Identifier) []byte {
	dst = append(dst, '[')
	for k, id := range list {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, id.n.raw...)
	}
	return append(dst, ']')
}
