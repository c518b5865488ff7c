// Package tap has what the validation suite of the runtime specification uses of a Go library that Debian has not.
//
// SPDX-License-Identifier: Apache-2.0
package tap

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// T is a stream of results in the form of TAP 13.
type T struct {
	Writer io.Writer
	ran    *int
	todo   string
}

// New writes to standard output.
func New() *T {
	return &T{Writer: os.Stdout, ran: new(int)}
}

// Header begins the stream; with a count of 0 the plan is written by AutoPlan, at the end.
func (t *T) Header(count int) {
	fmt.Fprintln(t.Writer, "TAP version 13")
	if count > 0 {
		fmt.Fprintf(t.Writer, "1..%d\n", count)
	}
}

// AutoPlan writes how many results there were.
func (t *T) AutoPlan() {
	fmt.Fprintf(t.Writer, "1..%d\n", *t.ran)
}

// Ok writes one result.
func (t *T) Ok(passed bool, description string) {
	word := "ok"
	if !passed {
		word = "not ok"
	}
	*t.ran++
	fmt.Fprintf(t.Writer, "%s %d - %s%s\n", word, *t.ran, t.todo, description)
}

// Pass writes a result that is good.
func (t *T) Pass(description string) {
	t.Ok(true, description)
}

// Fail writes a result that is not.
func (t *T) Fail(description string) {
	t.Ok(false, description)
}

// Skip writes count results of what was not tested.
func (t *T) Skip(count int, description string) {
	for i := 0; i < count; i++ {
		t.Ok(true, "# SKIP "+description)
	}
}

// Todo returns a stream whose results are those of tests that may fail.
func (t *T) Todo() *T {
	return &T{Writer: t.Writer, ran: t.ran, todo: "# TODO "}
}

// Diagnostic writes a comment of one or more lines.
func (t *T) Diagnostic(text string) {
	fmt.Fprintln(t.Writer, "# "+strings.ReplaceAll(text, "\n", "\n# "))
}

// Diagnosticf formats a comment.
func (t *T) Diagnosticf(format string, values ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, values...))
}

// YAML writes what belongs to the last result. JSON is YAML.
func (t *T) YAML(value interface{}) error {
	text, err := json.MarshalIndent(value, "  ", "  ")
	if err == nil {
		fmt.Fprintf(t.Writer, "  ---\n  %s\n  ...\n", text)
	}
	return err
}
