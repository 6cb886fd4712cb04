package image

import (
	"debug/elf"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// architectures are ELF's machines under the names that images use.
var architectures = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_RISCV: "riscv64",
}

// Inspect tells what platform a binary is for. One that is not for Linux, or needs an interpreter and libraries that an
// otherwise empty image does not have, is refused with what to do.
func Inspect(file string) (v1.Platform, error) {
	f, err := elf.Open(file)
	if err != nil {
		return v1.Platform{}, fmt.Errorf("%s is not a Linux executable (%w); build one with GOOS=linux CGO_ENABLED=0 and name it", file, err)
	}
	defer f.Close()
	arch, ok := architectures[f.Machine]
	if !ok || f.Class != elf.ELFCLASS64 {
		return v1.Platform{}, fmt.Errorf("%s is for %s, which no image is made for", file, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			libs, _ := f.ImportedLibraries()
			return v1.Platform{}, fmt.Errorf("%s is linked dynamically (%s), and the image has no libraries; build it with CGO_ENABLED=0", file, strings.Join(libs, ", "))
		}
	}
	return v1.Platform{OS: "linux", Architecture: arch}, nil
}
