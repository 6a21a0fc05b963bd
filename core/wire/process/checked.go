package process

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
)

// ChecksumError says that an executable is not the one that was asked for. It was
// not executed.
type ChecksumError struct {
	Path string
	// Got and Want are sha256 sums in hex.
	Got, Want string
}

// Error names the file and both sums.
func (e *ChecksumError) Error() string {
	return fmt.Sprintf("%s is not executed: its sha256 is %s where %s is demanded, so it was exchanged since it was found; "+
		"put back the right file, or lock this one with `bridge plugins lock` and reload", e.Path, e.Got, e.Want)
}

// openChecked opens a file and takes the checksum of what it opened. The caller
// closes the file.
func openChecked(path, want string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("check the executable: %w", err)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		file.Close()
		return nil, fmt.Errorf("check the executable: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		file.Close()
		return nil, &ChecksumError{Path: path, Got: got, Want: want}
	}
	return file, nil
}

// execute makes the command run the open file, whatever stands under its path by
// then. The descriptor stays open in the plugin, which may read its own executable
// anyway: an interpreter needs it to read a script. Who may write into the file
// itself, its owner, is not held back by this.
//
// Only Linux can execute a descriptor. Elsewhere the path is executed.
func (r *runner) execute(file *os.File) {
	if runtime.GOOS != "linux" {
		return
	}
	const firstExtra = 3
	r.command.Path = "/proc/self/fd/" + strconv.Itoa(firstExtra+len(r.command.ExtraFiles))
	r.command.ExtraFiles = append(r.command.ExtraFiles, file)
}
