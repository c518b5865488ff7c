// SPDX-License-Identifier: Apache-2.0
/*
 * static_libc.c - what a static program leaves out of glibc, for its size: 90 KB of it that nothing here uses.
 *
 * pmvm never calls setlocale, so no message is ever translated, and it resolves no names. Yet printf (for %m) needs
 * the reader of message catalogues, pthread_create the resolver (for its pointer for each thread), and assert wide
 * printf. A static link takes an object from libc.a only for symbols that are not defined yet: those below are why the
 * three stay away. With a glibc that has other names for them they have no effect. A part of pmvm that begins to
 * resolve names does not link until __libc_resp goes from here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *__dcgettext(const char *domain, const char *text, int category);
char *__dcgettext(const char *domain, const char *text, int category)
{
	(void)domain;
	(void)category;
	return (char *)text;
}

extern __thread void *__libc_resp;
__thread void *__libc_resp;

_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function);
_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
	char text[512];

	snprintf(text, sizeof(text), "pmvm: %s:%u: %s: Assertion `%s' failed.\n", file, line, function, assertion);
	(void)!write(STDERR_FILENO, text, strlen(text));
	abort();
}
